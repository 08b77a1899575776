-- What one run of a scenario did, and whether it was right: who sent and received how much, how
-- often each connection was reported as over, and what was said to have gone wrong.
--
-- Every connection sends the same long text from a place of its own, so that a byte lost, doubled
-- or delivered to another connection is seen at once, and the receiver knows from the first eight
-- bytes whose they are.

local evsock = require "evsock"

-- A block begins with its number; places are a block or several apart.
local BLOCK, STEP = 64, 1024
local blocks, filler = {}, ("."):rep(BLOCK - 8)
for i = 0, 5 * 1024 * 1024 / BLOCK do
    blocks[i + 1] = ("%08x"):format(i) .. filler
end
local TEXT = table.concat(blocks)

local Ledger = {}
Ledger.__index = Ledger

--- A new run.
function Ledger.new()
    return setmetatable({ faults = {}, ends = {}, clients = {}, accepted = {}, next_id = 1 },
        Ledger)
end

function Ledger:fault(text, ...)
    self.faults[#self.faults + 1] = text:format(...)
end

--- The port to connect to, if there is one.
function Ledger:port()
    return self.server.port
end

--- Something was reported to have gone wrong.
function Ledger:report(code)
    self.code = self.code or code or "?"
end

local End = {}
End.__index = End

local function slice(id, from, count)
    local start = id * STEP + from
    return TEXT:sub(start + 1, start + count)
end

--- Sends the next `count` bytes of this end's text.
function End:send(sock, count)
    local ok, _, code = sock:write(slice(self.id, self.sent, count))
    if ok then
        self.sent = self.sent + count
    else
        self:failed(code)
    end
    return ok
end

function End:failed(code)
    self.code = self.code or code or "?"
    self.ledger:report(code)
end

--- Reads what is there and checks it. Returns how many bytes came.
function End:take(sock)
    local data = (self.head or "") .. (sock:read() or "")
    self.head = nil
    if data == "" then
        return 0
    end
    if self.closes >= self.attempts then
        self.ledger:fault("%s: data after on_close", self.name)
    end
    if not self.id then
        if #data < 8 then
            self.head = data
            return 0
        end
        self.id = (tonumber(data:sub(1, 8), 16) or -STEP) * BLOCK / STEP
    end
    if data ~= slice(self.id, self.received, #data) then
        self.ledger:fault("%s: wrong bytes behind %d", self.name, self.received)
    end
    self.received = self.received + #data
    return #data
end

function End:closed(code)
    self.closes = self.closes + 1
    if self.closes > self.attempts then
        self.ledger:fault("%s: on_close %d times", self.name, self.closes)
    end
    if code then
        self:failed(code)
    end
end

local function new_end(ledger, name, id)
    local this = setmetatable({
        ledger = ledger, name = name, id = id, sent = 0, received = 0, closes = 0, attempts = 1,
    }, End)
    ledger.ends[#ledger.ends + 1] = this
    return this
end

-- The handlers that every end has, around those of the scenario.
local function handlers(ledger, this, own)
    local options = {}
    for name, value in pairs(own) do
        options[name] = value
    end
    function options.on_data(sock)
        if own.on_data then
            own.on_data(sock, this)
        else
            this:take(sock)
        end
    end
    function options.on_connect(sock)
        this.connected = true
        if own.on_connect then
            own.on_connect(sock, this)
        end
    end
    function options.on_drain(sock)
        if own.on_drain then
            own.on_drain(sock, this)
        end
    end
    function options.on_close(sock, _, code)
        this:take(sock)
        this:closed(code)
        if own.on_close then
            own.on_close(sock, this, code)
        end
    end
    function options.on_reconnect()
        if this.closes ~= this.attempts then
            ledger:fault("%s: a new attempt without on_close of the one before", this.name)
        end
        -- A new attempt is another connection, with a text of its own.
        local history = new_end(ledger, this.name .. "'", this.id)
        for name, value in pairs(this) do
            history[name] = value
        end
        ledger.clients[#ledger.clients + 1] = history
        this.id, ledger.next_id = ledger.next_id, ledger.next_id + 1
        this.attempts, this.sent, this.received, this.code = this.attempts + 1, 0, 0, nil
        this.connected = nil
    end
    return options
end

-- Unix sockets have no port.
local function at(place, call, options)
    if place.port then
        return pcall(call, place.host, place.port, options)
    end
    return pcall(call, place.host, options)
end

--- Connects a client with these handlers; they get the socket and its end.
function Ledger:connect(place, own)
    local this = new_end(self, "client " .. self.next_id, self.next_id)
    self.next_id = self.next_id + 1
    self.clients[#self.clients + 1] = this
    local done, sock, _, code = at(place, evsock.connect, handlers(self, this, own))
    if not done or not sock then
        -- Refused at once: no attempt was made, and none may be reported as over.
        this.attempts = 0
        this:failed(done and code or "raised")
        return nil
    end
    this.sock = sock
    return sock, this
end

--- Listens; accepted sockets get these handlers.
function Ledger:listen(place, own)
    local function on_accept(_, sock)
        local this = new_end(self, "accepted " .. #self.accepted + 1)
        self.accepted[#self.accepted + 1] = this
        this.sock = sock
        for name, value in pairs(handlers(self, this, own)) do
            if name ~= "on_accept" then
                sock[name] = value
            end
        end
        if own.on_accept then
            own.on_accept(sock, this)
        end
    end
    local options = {
        on_accept = on_accept,
        on_error = function(_, _, code)
            self.server_failed = true
            self:report(code)
        end,
        read_limit = own.read_limit,
    }
    local done, server, _, code = at(place, evsock.listen, options)
    if not done or not server then
        self:report(done and code or "raised")
        return nil
    end
    self.server = server
    return server
end

local function check_way(ledger, from, to, reported)
    if to.received > from.sent then
        ledger:fault("%s received %d bytes, %s sent %d", to.name, to.received, from.name, from.sent)
    elseif to.received < from.sent and not reported then
        ledger:fault("%s sent %d bytes, %s received %d, and nobody was told",
            from.name, from.sent, to.name, to.received)
    end
end

--- The last look: both ways of every connection, and the number of on_close.
function Ledger:check()
    local partners, lost = {}, self.server_failed
    for _, this in ipairs(self.accepted) do
        if this.id then
            partners[this.id] = this
        else
            lost = lost or this.code
        end
    end
    for _, this in ipairs(self.ends) do
        if this.closes ~= this.attempts then
            self:fault("%s: on_close %d times for %d attempts", this.name, this.closes,
                this.attempts)
        end
    end
    for _, client in ipairs(self.clients) do
        local other = partners[client.id]
        if other then
            local reported = client.code or other.code
            check_way(self, client, other, reported)
            check_way(self, other, client, reported)
        elseif client.sent > 0 and not client.code and not lost then
            self:fault("%s sent %d bytes that nobody received, and nobody was told",
                client.name, client.sent)
        end
    end
end

return Ledger
