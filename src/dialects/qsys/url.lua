-- Q-SYS: the URLs of HttpClient: making them, and taking them apart (RFC 3986).
--
-- Not here: what is asked there. Invariant: what `parse` and `resolve` return holds no character
-- that a line of HTTP or a name could be broken with, and the host stands without brackets.

local _, core = ...
local common = core.common
local bad, check_text = common.bad, common.check_text

local DEFAULT_PORTS = { http = 80, https = 443 }

local url = {}

local function escape(character)
    return ("%%%02X"):format(character:byte())
end

function url.encode(text)
    return (text:gsub("[^A-Za-z0-9%-._~]", escape))
end

function url.decode(text)
    return (text:gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- What a path or query cannot hold; what is escaped stays so.
local function repair(text)
    return (text:gsub("[^A-Za-z0-9%-._~!$&'()*+,;=:@/?%%%[%]]", escape))
end

local function scalar(value, name, call)
    if type(value) == "boolean" then
        return tostring(value)
    end
    return check_text(value, name, call)
end

-- "a=1&b=2", in the order of the names, so that it is the same each time; a list gives its name
-- several times.
function url.encode_params(params, argument, call)
    if type(params) ~= "table" then
        bad(argument, call, "table", params)
    end
    local pairs_of, names = {}, {}
    for name, value in pairs(params) do
        local text = scalar(name, argument, call)
        names[#names + 1] = text
        pairs_of[text] = value
    end
    table.sort(names)
    local pieces = {}
    for _, name in ipairs(names) do
        local value = pairs_of[name]
        for _, each in ipairs(type(value) == "table" and value or { value }) do
            pieces[#pieces + 1] = url.encode(name) .. "="
                .. url.encode(scalar(each, argument .. "." .. name, call))
        end
    end
    return table.concat(pieces, "&")
end

-- `parts`: Host (with its scheme, else http), Port, Path, Query (text or table), each but the first
-- optional.
function url.create(parts, call)
    if type(parts) ~= "table" then
        bad("url", call, "table", parts)
    end
    local host = check_text(parts.Host, "Host", call)
    if not host:find("^%a[%w+.-]*://") then
        host = "http://" .. host
    end
    local text = host:gsub("/+$", "")
    if parts.Port ~= nil and parts.Port ~= "" then
        text = text .. ":" .. common.check_port(parts.Port, call)
    end
    local path = parts.Path ~= nil and check_text(parts.Path, "Path", call) or ""
    if path ~= "" then
        text = text .. "/" .. repair(path:gsub("^/", ""))
    end
    local query = parts.Query
    if type(query) == "table" then
        query = url.encode_params(query, "Query", call)
    elseif query ~= nil then
        query = repair(check_text(query, "Query", call):gsub("^%?", ""))
    end
    if query and query ~= "" then
        -- Without a path the query stands behind the host's own slash.
        text = text .. (path == "" and "/?" or "?") .. query
    end
    return text
end

-- Host and port of an authority, or nil and what is wrong.
local function host_and_port(text, scheme)
    local host, port = text:match("^%[([^%[%]]+)%](.*)$")
    if host and not (host:find(":", 1, true) and core.is_numeric(host)) then
        return nil, "its host is no address of IPv6"
    elseif not host then
        host, port = text:match("^([^:]*)(.*)$")
        if host:find("[^%w%-._~\128-\255]") then
            return nil, "its host has a character that no host has"
        end
    end
    if host == "" then
        return nil, "it names no host"
    elseif port == "" or port == ":" then
        return host, DEFAULT_PORTS[scheme]
    end
    local number = port:match("^:(%d+)$")
    number = number and common.port(number)
    if not number or number == 0 then
        return nil, "its port is no number from 1 to 65535"
    end
    return host, number
end

-- The parts of a text: scheme, host, port, target (path and query), user and password where they
-- stand in it; or nil and what is wrong. Without a scheme it is http.
function url.parse(text)
    text = text:gsub("^%s+", ""):gsub("%s+$", ""):gsub("#.*$", "")
    if text:find("%c") then
        return nil, "it has a control character"
    end
    local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
    scheme, rest = (scheme or "http"):lower(), rest or text
    if not DEFAULT_PORTS[scheme] then
        return nil, "its scheme is neither http nor https"
    end
    local authority, target = rest:match("^([^/?]*)(.*)$")
    local login, place = authority:match("^(.*)@(.-)$")
    local host, port = host_and_port(place or authority, scheme)
    if not host then
        return nil, port
    end
    local parts = { scheme = scheme, host = host, port = port }
    parts.target = (target:find("^/") and "" or "/") .. repair(target)
    if login then
        local user, password = login:match("^([^:]*):?(.*)$")
        parts.user, parts.password = url.decode(user), url.decode(password)
    end
    return parts
end

-- Without "." and ".." (RFC 3986, 5.2.4).
local function without_dots(path)
    local kept = {}
    for piece in path:gmatch("[^/]*") do
        if piece == ".." then
            kept[#kept] = nil
        elseif piece ~= "." and piece ~= "" then
            kept[#kept + 1] = piece
        end
    end
    local is_folder = path:find("/%.?%.?$") ~= nil
    return "/" .. table.concat(kept, "/") .. (is_folder and kept[1] and "/" or "")
end

-- The parts of a reference that was found at `base`; or nil and what is wrong.
function url.resolve(base, reference)
    reference = reference:gsub("^%s+", ""):gsub("#.*$", "")
    if reference:find("^%a[%w+.-]*:") then
        if not reference:find("^%a[%w+.-]*://") then
            return nil, "its scheme is neither http nor https"
        end
        return url.parse(reference)
    end
    local origin = base.scheme .. "://" .. url.authority(base)
    if reference:find("^//") then
        return url.parse(base.scheme .. ":" .. reference)
    elseif reference == "" or reference:find("^%?") then
        local path = base.target:match("^[^?]*")
        return url.parse(origin .. (reference == "" and base.target or path .. reference))
    end
    local path, query = reference:match("^([^?]*)(.*)$")
    if not path:find("^/") then
        path = base.target:match("^[^?]*"):match("^(.*/)") .. path
    end
    return url.parse(origin .. without_dots(path) .. query)
end

-- "host:port", without the port that the scheme has anyway.
function url.authority(parts)
    local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]" or parts.host
    return parts.port == DEFAULT_PORTS[parts.scheme] and host or host .. ":" .. parts.port
end

function url.same_origin(one, other)
    return one.scheme == other.scheme and one.host:lower() == other.host:lower()
        and one.port == other.port
end

return url
