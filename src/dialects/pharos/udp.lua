-- UdpSocket (4.9): datagrams, read one by one.
--
-- Not here: sending and receiving (the core). A datagram is the script's to read once its event has
-- come. Invariants: what waits to be read has a bound, behind which the core holds or drops what
-- comes; `ready_read_handler` is not called again before a datagram has been read.

local _, core = ...
local deferred, constants = core.part "pharos/deferred", core.part "pharos/constants"
local stream, settings = core.part "pharos/stream", constants.settings
local common, datagram = core.common, core.datagram
local add, change = deferred.add, deferred.change

local UNBOUND, BOUND = 0, 4
-- Datagrams, and their bytes.
local MOST, MOST_BYTES = 64, 256 * 1024

local own_constants = { UNBOUND_STATE = UNBOUND, BOUND_STATE = BOUND }
for name, value in pairs(constants.constants) do
    if name:find("_ERROR$") then
        own_constants[name] = value
    end
end

-- `call`: as in `stream.lua`.
local function record_of(socket, call)
    local record = deferred.record(socket)
    if not record or not record.unread then
        core.misuse(socket, "UdpSocket", call)
    end
    return record
end

local notify = deferred.socket_handlers()
local notify_ready = notify.ready_read

function notify.ready_read(socket, record)
    record.noted = nil
    if not record.unread[1] or not socket.ready_read_handler then
        return false
    end
    record.told = true
    return notify_ready(socket, record)
end

-- There is something to read that the script does not know of.
local function announce(record)
    if record.unread[1] and not record.told and not record.noted then
        record.noted = true
        add(record, "ready_read")
    end
end

local function hold(socket, record)
    local full = #record.unread >= MOST or record.bytes >= MOST_BYTES
    if full ~= record.full then
        record.full = full
        datagram[full and "pause" or "resume"](socket)
    end
end

-- Events ------------------------------------------------------------------------------------------

local on = {}

local function follow(socket, record)
    return deferred.after_event(socket, record, notify)
end

function on.deferred(socket)
    return deferred.run(socket, notify)
end

function on.datagram(socket)
    local record = record_of(socket)
    local data, host, port = datagram.next(socket, true)
    if not data then
        return false
    end
    host, port = record.redirects:shown(host, port)
    record.unread[#record.unread + 1] = { data = data, host = host, port = port }
    record.bytes = record.bytes + #data
    hold(socket, record)
    announce(record)
    return follow(socket, record)
end

function on.error(socket, message, code)
    local record = record_of(socket)
    add(record, "error", constants.cause_of(message, code))
    return follow(socket, record)
end

function on.sent(socket, ticket)
    local record = record_of(socket)
    local length = record.pending[ticket]
    record.pending[ticket] = nil
    add(record, "written", length)
    return follow(socket, record)
end

function on.unsent(socket, ticket)
    record_of(socket).pending[ticket] = nil
    return false
end

-- Methods -----------------------------------------------------------------------------------------

local methods = {}

local function bind(socket, record, port)
    local cause = constants.NOT_NOW
    if record.state == UNBOUND then
        local ok, message, code = datagram.open(socket, "0.0.0.0", port, {})
        if ok then
            record.address, record.port = datagram.facts(socket)
            change(record, BOUND)
            deferred.after_method(socket, record)
            return true
        end
        cause = constants.cause_of(message, code)
    end
    deferred.fail(socket, record, cause)
    return false
end

function methods.bind(socket, port)
    local record = record_of(socket)
    return bind(socket, record, common.check_port(port, "bind"))
end

function methods.close(socket)
    local record = record_of(socket)
    datagram.close(socket)
    record.unread, record.bytes, record.pending = {}, 0, {}
    record.told, record.full, record.address, record.port = nil, false, nil, nil
    if record.newest ~= UNBOUND then
        change(record, UNBOUND)
    end
    deferred.after_method(socket, record)
end

-- What is beyond `max` bytes is lost.
local function read(socket, max, method)
    local record = record_of(socket, method)
    max = stream.check_max(max, method)
    local found = table.remove(record.unread, 1)
    if not found then
        return { data = "", sender_address = "", sender_port = 0, valid = false }
    end
    record.bytes = record.bytes - #found.data
    record.told = nil
    hold(socket, record)
    announce(record)
    deferred.after_method(socket, record)
    return {
        data = #found.data > max and found.data:sub(1, max) or found.data,
        sender_address = found.host,
        sender_port = found.port,
        valid = true,
    }
end

function methods.read_datagram_string(socket, max)
    return read(socket, max, "read_datagram_string")
end

function methods.read_datagram_bytes(socket, max)
    local found = read(socket, max, "read_datagram_bytes")
    found.data = stream.to_bytes(found.data)
    return found
end

local function write(socket, record, data, host, port, method)
    host = common.check_text(host, "host", method)
    port = common.check_port(port, method)
    if record.state == UNBOUND and not bind(socket, record, 0) then
        return -1
    end
    local redirect = settings:redirect(host, port)
    record.redirects:add(host, port, redirect)
    local sent, message, code = datagram.send(socket, data, true, host, port, redirect)
    if not sent then
        deferred.fail(socket, record, constants.cause_of(message, code))
        return -1
    elseif sent == true then
        add(record, "written", #data)
        deferred.after_method(socket, record)
    else
        record.pending[sent] = #data
    end
    return #data
end

function methods.write_datagram_string(socket, data, host, port)
    local record, method = record_of(socket), "write_datagram_string"
    return write(socket, record, common.check_text(data, "data", method), host, port, method)
end

function methods.write_datagram_bytes(socket, bytes, host, port)
    local record, method = record_of(socket), "write_datagram_bytes"
    return write(socket, record, stream.to_string(bytes, method), host, port, method)
end

local function member(name, call)
    methods[name] = function(socket, address)
        local record = record_of(socket)
        address = common.check_text(address, "address", name)
        local cause = constants.NOT_NOW
        if record.state == BOUND and not core.is_numeric(address) then
            cause = constants.cause_of(name .. ": the group is no numeric address", "EINVAL")
        elseif record.state == BOUND then
            local ok, message, code = datagram[call](socket, address)
            if ok then
                return true
            end
            cause = constants.cause_of(message, code)
        end
        deferred.fail(socket, record, cause)
        return false
    end
end

member("join_multicast_group", "join_group")
member("leave_multicast_group", "leave_group")

for _, name in ipairs {
    "bind", "close", "join_multicast_group", "leave_multicast_group", "read_datagram_bytes",
    "read_datagram_string",
} do
    methods[name .. "_async"] = deferred.async(name .. "_async", methods[name])
end

for _, name in ipairs { "write_datagram_bytes", "write_datagram_string" } do
    local call = name .. "_async"
    methods[call] = function(socket, data, host, port, callback)
        local record = record_of(socket)
        deferred.check_callback(callback, call)
        local result = methods[name](socket, data, host, port)
        if callback then
            add(record, "answer", callback, result)
            deferred.after_method(socket, record)
        end
    end
end

-- The class ---------------------------------------------------------------------------------------

local UdpSocket, get = {}, {}
constants.add_constants(UdpSocket, get, own_constants)

function get.state(socket)
    return record_of(socket).state
end

function get.error(socket)
    return record_of(socket).error
end

function get.error_string(socket)
    return record_of(socket).error_string
end

function get.local_address(socket)
    return record_of(socket).address or ""
end

function get.local_port(socket)
    return record_of(socket).port or 0
end

function get.has_pending_datagrams(socket)
    return record_of(socket).unread[1] ~= nil
end

-- -1: none.
function get.pending_datagram_size(socket)
    local first = record_of(socket).unread[1]
    return first and #first.data or -1
end

local Udp = core.class {
    name = "UdpSocket",
    kind = "datagram",
    anchor = "handlers",
    handlers = {
        "ready_read_handler", "bytes_written_handler", "error_handler", "state_changed_handler",
    },
    methods = methods,
    get = get,
    on = on,
    tostring = function(socket)
        local record = record_of(socket)
        return "UdpSocket: state " .. record.state .. core.where(record.address, record.port)
    end,
}

function UdpSocket.new()
    local socket = Udp.new()
    local record = deferred.new_record(socket)
    record.error, record.error_string = -1, "Unknown error"
    record.unread, record.bytes, record.pending, record.full = {}, 0, {}, false
    record.redirects = common.redirects()
    return socket
end

return UdpSocket
