-- `Stream`: reading and writing, what TcpSocket and SslSocket have in common with other devices.
--
-- Not here: connections (`socket.lua`). Numbers like 4.5 name the sections of the specification.

local _, core = ...
local common, sock_api = core.common, core.socket
local deferred = core.part "pharos/deferred"

local UNCONNECTED = 0

-- The record of a socket. `live`: there is a connection, or an attempt; one that died with its
-- server ends here, without a handler. `call`: whose argument it is, where the call's own name may
-- be lost behind a tail call.
local function record_of(socket, call)
    local record = deferred.record(socket)
    if not record or not record.written then
        core.misuse(socket, "TcpSocket", call)
    elseif record.live and sock_api.state(socket) == "idle" then
        deferred.drop(record)
        record.live, record.ends, record.encrypted = false, nil, nil
        record.state, record.newest = UNCONNECTED, UNCONNECTED
    end
    return record
end

local modes = {
    NOT_OPEN_MODE = 0,
    READ_ONLY_MODE = 1,
    WRITE_ONLY_MODE = 2,
    READ_WRITE_MODE = 3,
    APPEND_MODE = 4,
    TRUNCATE_MODE = 8,
}
local ALL_MODES = 15

-- Checks ------------------------------------------------------------------------------------------

local bad, is_whole = common.bad, common.is_whole

local function check_max(value, method)
    if value == nil then
        return math.huge
    elseif not is_whole(value, 2 ^ 53) then
        bad("max", method, "integer of at least 0", value)
    end
    return value
end

local function check_mode(value, method)
    if not is_whole(value, ALL_MODES) then
        bad("open_mode", method, "sum of open modes", value)
    end
    return value
end

-- Bytes -------------------------------------------------------------------------------------------

local unpack = table.unpack or unpack
-- As many values as fit on any stack.
local PIECE = 200

local function to_bytes(text)
    local bytes = {}
    for from = 1, #text, PIECE do
        local piece = { text:byte(from, from + PIECE - 1) }
        for index = 1, #piece do
            bytes[from + index - 1] = piece[index]
        end
    end
    return bytes
end

local function to_string(bytes, method)
    if type(bytes) ~= "table" then
        bad("bytes", method, "table of numbers from 0 to 255", bytes)
    end
    for index = 1, #bytes do
        if not is_whole(bytes[index], 255) then
            bad("bytes", method, "table of numbers from 0 to 255", bytes[index])
        end
    end
    local pieces = {}
    for from = 1, #bytes, PIECE do
        local to = math.min(from + PIECE - 1, #bytes)
        pieces[#pieces + 1] = string.char(unpack(bytes, from, to))
    end
    return table.concat(pieces)
end

-- Reading -----------------------------------------------------------------------------------------

local function is_readable(record)
    return record.mode % 2 == 1
end

local function is_writeable(record)
    return record.mode % 4 >= 2
end

local function available(socket, method)
    return is_readable(record_of(socket, method)) and sock_api.buffered(socket) or 0
end

local function read(socket, max, method)
    local most = available(socket, method)
    max = math.min(check_max(max, method), most)
    return max > 0 and sock_api.read(socket, max) or ""
end

local function peek(socket, max, method)
    local most = available(socket, method)
    max = math.min(check_max(max, method), most)
    return max > 0 and sock_api.peek(socket, max) or ""
end

-- The line end stays in the line; what is there if there is none (4.5).
local function read_line(socket, max, method)
    local most = available(socket, method)
    max = math.min(check_max(max, method), most)
    local length = max > 0 and sock_api.search(socket, "\n") or max
    return max > 0 and sock_api.read(socket, math.min(length, max)) or ""
end

-- Writing -----------------------------------------------------------------------------------------

-- Adds a note of what was handed to the network since the last one; not before the script has been
-- told that there is a connection, which may be long after.
local function progress(socket, record)
    if not record.stood or record.tls and not record.secured then
        return
    end
    local total, pending = sock_api.sent(socket)
    if record.tls then
        -- What is encrypted becomes longer on the way: told once all of it is out.
        total = pending == 0 and record.written or record.reported
    end
    local count = total - record.reported
    if count <= 0 then
        return
    end
    record.reported = total
    local last = deferred.newest(record)
    if last and last.kind == "written" then
        last.value = last.value + count
    else
        deferred.add(record, "written", count)
    end
end

local function refuse(record, number, text)
    record.error, record.error_string = number, text
    return -1
end

local function write(socket, record, data)
    if not record.live then
        return refuse(record, -1, "Socket is not connected")
    elseif not is_writeable(record) then
        return -1
    elseif data == "" then
        return 0
    end
    local ok, message, code = sock_api.write(socket, data)
    if ok then
        record.written = record.written + #data
        progress(socket, record)
        deferred.after_method(socket, record)
    elseif code ~= "ECLOSED" then
        return refuse(record, code == "EAGAIN" and 22 or -1, message)
    end
    -- Between the real end of a connection and the event that tells of it, bytes are dropped.
    return #data
end

-- Methods -----------------------------------------------------------------------------------------

local methods = {}

local function both_forms(name, call)
    methods[name .. "_string"] = function(socket, max)
        return call(socket, max, name .. "_string")
    end
    methods[name .. "_bytes"] = function(socket, max)
        return to_bytes(call(socket, max, name .. "_bytes"))
    end
end
both_forms("read", read)
both_forms("peek", peek)
both_forms("read_line", read_line)
both_forms("read_all", function(socket)
    return read(socket, nil, "read_all_string")
end)

function methods.write_string(socket, data)
    local record = record_of(socket, "write_string")
    return write(socket, record, common.check_text(data, "data", "write_string"))
end

function methods.write_bytes(socket, bytes)
    local record = record_of(socket, "write_bytes")
    return write(socket, record, to_string(bytes, "write_bytes"))
end

-- A socket has no place to go to.
function methods.seek(socket)
    record_of(socket)
    return false
end

methods.reset = methods.seek

function methods.open(socket, mode)
    local record = record_of(socket)
    record.mode = check_mode(mode, "open")
    return true
end

-- The seed's prose speaks of these; no such methods are in the reference (4.5).
for _, name in ipairs { "read", "read_line", "read_all", "write" } do
    methods[name] = methods[name .. "_string"]
end

local names = {}
for name in pairs(methods) do
    names[#names + 1] = name
end
for _, name in ipairs(names) do
    methods[name .. "_async"] = deferred.async(name .. "_async", methods[name])
end

-- Properties --------------------------------------------------------------------------------------

local get = {}

function get.is_open(socket)
    return record_of(socket).mode ~= modes.NOT_OPEN_MODE
end

function get.open_mode(socket)
    return record_of(socket).mode
end

get.bytes_available = available

function get.bytes_to_write(socket)
    return record_of(socket).live and sock_api.pending(socket) or 0
end

function get.at_end(socket)
    return available(socket) == 0
end

function get.pos()
    return 0
end

function get.readable(socket)
    return is_readable(record_of(socket))
end

function get.writeable(socket)
    return is_writeable(record_of(socket))
end

function get.sequential()
    return true
end

function get.can_read_line(socket)
    return available(socket) > 0 and sock_api.search(socket, "\n") ~= nil
end

function get.error_string(socket)
    return record_of(socket).error_string
end

return {
    check_max = check_max,
    check_mode = check_mode,
    get = get,
    methods = methods,
    modes = modes,
    progress = progress,
    record_of = record_of,
    to_bytes = to_bytes,
    to_string = to_string,
}
