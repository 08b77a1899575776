-- Q-SYS: what TcpSocket and HttpClient say of TLS.
--
-- Nothing is validated unless the script asks for it (2.1 of the dialects' specification); then
-- against its own certificates, the configured ones, or the system's.

local evsock, core = ...
local settings = core.part "qsys/settings"

-- The core's names of the properties.
local property_of = { ca = "CACertData", cert = "ClientCertData", key = "ClientKeyData" }

local function options_of(properties)
    local checks = properties.ValidateCertificate
    local own = checks and properties.CACertData
    return {
        verify = checks or false,
        ca = own or nil,
        cafile = checks and not own and settings:get("cafile") or nil,
        cert = properties.ClientCertData,
        key = properties.ClientKeyData,
    }
end

local tls = {}

-- The settings of the core for these properties; raises in their words, in the name of the method.
function tls.compile(properties, method)
    local ok, result = pcall(evsock.tls, options_of(properties))
    if ok then
        return result
    end
    local why = tostring(result):gsub("^.-: (bad tls option)", "%1")
    why = why:gsub("to 'tls'", "to '" .. method .. "'"):gsub(", which '%l+' takes", "")
    core.raise((why:gsub("'(%l+)'", function(name)
        return property_of[name] and "'" .. property_of[name] .. "'"
    end)))
end

return tls
