-- The host's numbers and words: errors, states, and what the core's codes are called there.
--
-- Not here: when scripts are told of an error or a state (`socket.lua`, `udp.lua`). Section 4.1 of
-- the specification has the names.

local _, core = ...
local settings = core.common.settings { connect_timeout = "number" }

local UNCONNECTED, HOST_LOOKUP, CONNECTING = 0, 1, 2
local CONNECTED, BOUND, CLOSING = 3, 4, 6

local constants = {
    CONNECTION_REFUSED_ERROR = 0,
    REMOTE_HOST_CLOSED_ERROR = 1,
    HOST_NOT_FOUND_ERROR = 2,
    SOCKET_RESOURCE_ERROR = 4,
    SOCKET_TIMEOUT_ERROR = 5,
    DATAGRAM_TOO_LARGE_ERROR = 6,
    NETWORK_ERROR = 7,
    UNSUPPORTED_SOCKET_OPERATION_ERROR = 10,
    UNFINISHED_SOCKET_OPERATION_ERROR = 11,
    SSL_HANDSHAKE_FAILED_ERROR = 13,
    OPERATION_ERROR = 19,
    SSL_INTERNAL_ERROR = 20,
    SSL_INVALID_USERDATA_ERROR = 21,
    TEMPORARY_ERROR = 22,
    UNKNOWN_ERROR = -1,

    UNCONNECTED_STATE = UNCONNECTED,
    HOST_LOOKUP_STATE = HOST_LOOKUP,
    CONNECTING_STATE = CONNECTING,
    CONNECTED_STATE = CONNECTED,
    BOUND_STATE = BOUND,
    CLOSING_STATE = CLOSING,
}

-- Causes of a failure: the number and the text of the host's.
local REMOTE_CLOSED = { 1, "The remote host closed the connection" }
local BUSY = { 19, "Trying to connect while connection is in progress" }
local NOT_SUPPORTED = { 10, "Operation on socket is not supported" }
local NOT_NOW = { 19, "The socket is in use already" }

-- The core's codes in the host's numbers and words (4.1, 4.4). 3, 8 and 9 have no name there.
local causes = {
    EACCES = { 3, "Permission denied" },
    EADDRINUSE = { 8, "The bound address is already in use" },
    EADDRNOTAVAIL = { 9, "The address is not available" },
    EBADHOST = { 2, "Host not found" },
    ECONNREFUSED = { 0, "Connection refused" },
    ECONNRESET = REMOTE_CLOSED,
    EHOSTNOTFOUND = { 2, "Host not found" },
    EHOSTUNREACH = { 7, "Network unreachable" },
    EINVAL = NOT_SUPPORTED,
    EIO = { 7, "Network error" },
    EMFILE = { 4, "Out of resources" },
    EMSGSIZE = { 6, "Message too large" },
    ENETUNREACH = { 7, "Network unreachable" },
    ENOMEM = { 4, "Out of resources" },
    ETIMEDOUT = { 5, "Connection timed out" },
    TLS_TRUNCATED = REMOTE_CLOSED,
}

-- Every failure passes here, where the logger hears its real reason. `in_handshake`: the failure
-- ended a TLS handshake.
local function cause_of(message, code, in_handshake)
    settings:log("error", "net: " .. message)
    local is_tls = code:sub(1, 4) == "TLS_"
    if is_tls and in_handshake then
        return { 13, message }
    end
    return causes[code] or { is_tls and 20 or -1, message }
end

-- Constants are read from a class, and from its objects, too.
local function add_constants(class, get, list)
    for name, value in pairs(list) do
        class[name] = value
        get[name] = function()
            return value
        end
    end
end

return {
    BUSY = BUSY,
    NOT_NOW = NOT_NOW,
    REMOTE_CLOSED = REMOTE_CLOSED,
    add_constants = add_constants,
    cause_of = cause_of,
    constants = constants,
    settings = settings,
}
