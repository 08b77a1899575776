-- Lookups that the script itself asks for: `evsock.resolve`, and names of addresses for dialects.
-- Loaded by the first of them.
--
-- Not here: threads and what is known without them (`src/net`). Invariant: a question that nobody
-- waits for any more is called off.

local native, checks, core, inner = ...

local bad, seconds_or_nil = checks.bad, inner.seconds_or_nil

native.need(native, "lookup")

local Question = core.class { name = "evsock.Question", kind = "question", anchor = "object" }

-- Asks by the native function of the call's name and waits for the answer.
local function ask(call, about, timeout)
    timeout = seconds_or_nil(timeout, call)
    local question = Question.new()
    local found, message, code = native[call](question, about)
    if found ~= false then
        return found, message, code
    end
    native.register(question)
    local function is_answered()
        found, message, code = native.answer(question, call, about)
        return found ~= false
    end
    local is_over, why, its_code = core.wait({ question }, is_answered, timeout)
    if is_over then
        return found, message, code
    elseif is_over == false then
        return nil, call .. " " .. native.shown(about) .. ": timed out", "ETIMEDOUT"
    end
    return nil, why, its_code
end

local lookups = {}

function lookups.resolve(name, timeout)
    if type(name) ~= "string" then
        bad("argument", "name", "resolve", "string", name)
    end
    return ask("resolve", name, timeout)
end

-- The name of a numeric address, or nil, message, code.
function lookups.reverse(address, timeout)
    if type(address) ~= "string" or not native.is_numeric(address) then
        bad("argument", "address", "reverse", "numeric address", address)
    end
    return ask("reverse", address, timeout)
end

return lookups
