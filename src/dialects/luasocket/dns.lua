-- LuaSocket: `socket.dns`. A lookup waits as any call does, and stops nobody else.
--
-- Not here: looking up (the core). Names of addresses are not looked up: an address is its own.

local evsock, core = ...
local shared = core.part "luasocket/shared"

local dns = {}

local NOT_KNOWN = "host or service not provided, or not known"

local function bare(host)
    return host:match("^%[(.*)%]$") or host
end

local function family_of(address)
    return address:find(":", 1, true) and "inet6" or "inet"
end

-- All addresses of a name, or of an address: a list of { family =, addr = }, or nil and a word.
function dns.find(host)
    if core.is_numeric(host) or host:find("^[%x:.]+%%.+$") then
        host = bare(host)
        return { { family = family_of(host), addr = host } }
    elseif host == "" then
        return nil, NOT_KNOWN
    end
    local list, message, code = evsock.resolve(host)
    if not list then
        return nil, shared.word(message, code)
    end
    local found = {}
    for _, entry in ipairs(list) do
        found[#found + 1] = { family = entry.family, addr = entry.address }
    end
    -- The core knows both without asking. A server must be where programs of others look for it,
    -- and many a system has the first alone in its file of hosts.
    if host:lower() == "localhost" then
        table.sort(found, function(one, other)
            return one.family < other.family
        end)
    end
    return found
end

-- Where a socket may be bound: the addresses of one family, if that is given.
function dns.addresses(host, family)
    if host == "*" then
        local address = family == "inet6" and "::" or "0.0.0.0"
        return { { family = family or "inet", addr = address } }
    end
    local list, why = dns.find(host)
    if not list then
        return nil, why
    end
    local fitting = {}
    for _, entry in ipairs(list) do
        if not family or entry.family == family then
            fitting[#fitting + 1] = entry
        end
    end
    if #fitting == 0 then
        return nil, "Address family for hostname not supported"
    end
    return fitting
end

-- The module -------------------------------------------------------------------------------------

local module = {}

local NOT_FOUND = "host not found"

-- The name of an address, or nil.
local function name_of(address)
    return (core.lookups.reverse(address))
end

-- What gethostbyname and gethostbyaddr tell, which know IPv4 alone: name and addresses.
local function entry_of(host)
    local list = dns.find(host)
    local name, found = host, {}
    for _, entry in ipairs(list or {}) do
        if entry.family == "inet" then
            found[#found + 1] = entry.addr
        end
    end
    if core.is_numeric(host) and found[1] then
        name = name_of(host)
    end
    if not name or not found[1] then
        return nil, NOT_FOUND
    end
    return { name = name, alias = {}, ip = found }
end

function module.toip(host)
    local entry, why = entry_of(shared.text(host, 1, "toip"))
    if not entry then
        return nil, why
    end
    return entry.ip[1], entry
end

function module.tohostname(host)
    local entry, why = entry_of(shared.text(host, 1, "tohostname"))
    if not entry then
        return nil, why
    end
    return entry.name, entry
end

-- As getaddrinfo answers.
function module.getaddrinfo(host)
    return dns.find(shared.text(host, 1, "getaddrinfo"))
end

-- The names of a host's addresses, those without one as they are; a service keeps its number.
function module.getnameinfo(host, service)
    if host == nil and service == nil then
        core.raise("host and serv cannot be both nil")
    end
    local names = {}
    service = service ~= nil and shared.text(service, 2, "getnameinfo") or nil
    if host ~= nil then
        local list, why = dns.find(shared.text(host, 1, "getnameinfo"))
        if not list then
            return nil, why
        end
        for _, entry in ipairs(list) do
            local name = name_of(entry.addr) or entry.addr
            names[#names + 1] = names[#names] ~= name and name or nil
        end
    end
    return names, service
end

function module.gethostname()
    return core.system.host_name()
end

dns.module = { dns = module }
return dns
