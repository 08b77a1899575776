-- Q-SYS: who asks, as HttpClient says it: Basic (RFC 7617) and Digest (RFC 7616).
--
-- Not here: when it is said. Invariant: a password stands in no message; what is not understood is
-- not answered.

local _, core = ...

-- RFC 7616's names of what we have a digest for.
local ALGORITHMS = { ["MD5"] = "md5", ["SHA-256"] = "sha256" }

local credentials = {}

function credentials.basic(user, password)
    return "Basic " .. core.encoding.base64_encode(user .. ":" .. password)
end

-- Reading challenges ------------------------------------------------------------------------------

local TOKEN = "[%w!#$%%&'*+.^_`|~-]+"

-- The value of a parameter at `at`, and where the text goes on.
local function value_at(text, at)
    if text:sub(at, at) ~= '"' then
        return text:match("^([^%s,]*)()", at)
    end
    local pieces, place = {}, at + 1
    while true do
        local plain, mark, after = text:match('^([^"\\]*)(["\\])()', place)
        if not plain then
            return nil
        end
        pieces[#pieces + 1] = plain
        if mark == '"' then
            return table.concat(pieces), after
        end
        pieces[#pieces + 1] = text:sub(after, after)
        place = after + 1
    end
end

-- A list of { scheme =, params = }, names in small letters. One field may have several.
local function challenges_in(text)
    local found, at = {}, 1
    while true do
        local name, after = text:match("^[%s,]*(" .. TOKEN .. ")()", at)
        if not name then
            return found
        end
        local value_begins = text:match("^%s*=%s*()", after)
        local current = found[#found]
        if value_begins and current then
            local value, rest = value_at(text, value_begins)
            if not value then
                return found
            end
            current.params[name:lower()] = value
            at = rest
        else
            found[#found + 1] = { scheme = name:lower(), params = {} }
            -- Some have a text in place of parameters.
            local behind = text:match("^%s+[%w%-._~+/]+=*%s*()", after)
            local is_text = behind and (behind > #text or text:sub(behind, behind) == ",")
            at = is_text and behind or after
        end
    end
end

-- Digest ------------------------------------------------------------------------------------------

local function hex(bytes)
    return (bytes:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

-- How a challenge is to be answered: digest, whether for a session, quality of protection; nil
-- where it asks for what we have not.
local function way_of(params)
    local algorithm = (params.algorithm or "MD5"):upper()
    local plain = algorithm:gsub("%-SESS$", "")
    local name = ALGORITHMS[plain]
    if not name or not params.nonce or not params.realm then
        return nil
    end
    local qualities, first = {}, params.qop
    for quality in (first or ""):gmatch("[^%s,]+") do
        qualities[quality:lower()] = true
    end
    local quality = qualities.auth and "auth" or qualities["auth-int"] and "auth-int" or nil
    if not quality and next(qualities) then
        return nil
    end
    return name, plain ~= algorithm, quality
end

local function quoted(text)
    return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

-- The field for one request. `asked`: its `method`, `target` and `body`.
local function digest(params, user, password, asked)
    local name, is_session, quality = way_of(params)
    local function of(...)
        return hex(core.digest(name, table.concat({ ... }, ":")))
    end
    local nonce, once = params.nonce, core.http.nonce()
    local who = of(user, params.realm, password)
    if is_session then
        who = of(who, nonce, once)
    end
    local what = of(asked.method, asked.target)
    if quality == "auth-int" then
        what = of(asked.method, asked.target, of(asked.body))
    end
    local count = "00000001"
    local response = quality and of(who, nonce, count, once, quality, what)
        or of(who, nonce, what)
    local pieces = {
        "Digest username=" .. quoted(user), "realm=" .. quoted(params.realm),
        "nonce=" .. quoted(nonce), "uri=" .. quoted(asked.target), 'response="' .. response .. '"',
    }
    if params.algorithm then
        pieces[#pieces + 1] = "algorithm=" .. params.algorithm
    end
    if params.opaque then
        pieces[#pieces + 1] = "opaque=" .. quoted(params.opaque)
    end
    if quality or is_session then
        pieces[#pieces + 1] = 'cnonce="' .. once .. '"'
    end
    if quality then
        pieces[#pieces + 1] = "qop=" .. quality
        pieces[#pieces + 1] = "nc=" .. count
    end
    return table.concat(pieces, ", ")
end

-- The answer to the challenges of an answer 401, a list of texts, or nil where none suits `auth`.
-- Digest comes before Basic; the second result: the answered one was a Digest's, and whether the
-- server calls the answer before it merely old.
function credentials.answer(texts, auth, user, password, asked)
    local basic
    for _, text in ipairs(texts) do
        for _, challenge in ipairs(challenges_in(text)) do
            local params = challenge.params
            if challenge.scheme == "digest" and auth ~= "basic" and way_of(params) then
                local is_old = (params.stale or ""):lower() == "true"
                return digest(params, user, password, asked), is_old
            end
            basic = basic or challenge.scheme == "basic"
        end
    end
    if basic and auth ~= "digest" then
        return credentials.basic(user, password), false
    end
end

return credentials
