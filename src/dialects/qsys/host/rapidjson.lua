-- `rapidjson` as a Core's scripts require it.
--
-- Translation only: texts are read and written by the core. Not here: documents and schemas, which
-- raise. Invariants: a table that was read knows whether it was an array; null is a value of its
-- own, in tables as well.

local _, core = ...
local encoding = core.encoding

local rapidjson = { _NAME = "rapidjson" }

-- As the original's: a function that nothing else is equal to.
function rapidjson.null()
    return rapidjson.null
end

local null = rapidjson.null
local arrays, objects = { __jsontype = "array" }, { __jsontype = "object" }

-- Marks a table, or a new one, as the one or the other.
function rapidjson.array(list)
    return setmetatable(list or {}, arrays)
end

function rapidjson.object(fields)
    return setmetatable(fields or {}, objects)
end

-- The value, or nil and what is wrong and where.
function rapidjson.decode(text)
    core.common.check_string(text, "text", "decode")
    return encoding.json_decode(text, null, arrays, objects)
end

-- The text, or nil and what is wrong. Options: `pretty`, `empty_table_as_array`; names always come
-- in order.
function rapidjson.encode(value, options)
    if options ~= nil and type(options) ~= "table" then
        core.common.bad("options", "encode", "table", options)
    end
    local given = options or {}
    return encoding.json_encode(
        value, null, given.pretty and true or false, given.empty_table_as_array and true or false)
end

function rapidjson.load(path)
    core.common.check_string(path, "path", "load")
    local text, reason = core.common.read_file(path)
    if not text then
        return nil, reason
    end
    return rapidjson.decode(text)
end

-- Returns true, or nil and why not.
function rapidjson.dump(value, path, options)
    core.common.check_string(path, "path", "dump")
    local text, problem = rapidjson.encode(value, options)
    if not text then
        return nil, problem
    end
    local file, reason = io.open(path, "wb")
    if not file then
        return nil, reason
    end
    local written, why = file:write(text)
    -- What stays in the buffer is written, or not, by this.
    local closed, why_not = file:close()
    if not (written and closed) then
        return nil, path .. ": " .. (why or why_not)
    end
    return true
end

for _, name in ipairs { "Document", "SchemaDocument", "SchemaValidator" } do
    rapidjson[name] = function()
        core.raise("rapidjson." .. name .. " is not offered here; decode gives tables")
    end
end

return rapidjson
