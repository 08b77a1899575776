-- The six scenarios. Each is a function of the ledger and of the place to listen at; it returns a
-- function that tells whether the scenario has run its course when nothing went wrong.
--
-- All of them go on by what happens, never by time, and end when a connection ends early.

local evsock = require "evsock"

local scenarios = {}

local function echo_server(ledger, place)
    return ledger:listen(place, {
        on_data = function(sock, this)
            local count = this:take(sock)
            if this.id and this.received > this.sent then
                this:send(sock, this.received - this.sent)
            end
            return count
        end,
    })
end

-- Sends, waits for the echo, `rounds` times, then closes.
local function talker(rounds, size)
    local function go_on(sock, this)
        if this.received == this.sent then
            if this.sent >= rounds * size then
                this.satisfied = true
                sock:close()
            else
                this:send(sock, size)
            end
        end
    end
    return {
        on_connect = go_on,
        on_data = function(sock, this)
            if this:take(sock) > 0 then
                go_on(sock, this)
            end
        end,
    }
end

local function all_closed(ledger)
    for _, this in ipairs(ledger.ends) do
        if this.closes < this.attempts then
            return false
        end
    end
    return true
end

local function exchange(count, rounds, size)
    return function(ledger, place)
        if not echo_server(ledger, place) then
            return
        end
        for _ = 1, count do
            ledger:connect({ host = place.host, port = ledger:port() }, talker(rounds, size))
        end
        -- A timer must fire whatever strikes.
        local fired = false
        evsock.after(0.001, function()
            fired = true
        end)
        return function()
            return fired and all_closed(ledger)
        end
    end
end

scenarios.echo = exchange(1, 4, 100)
scenarios.server = exchange(20, 3, 100)
scenarios.unix = exchange(2, 4, 100)

--- The server answers the first request of every connection and closes it; the client comes back
--- until it has had three answers.
function scenarios.reconnect(ledger, place)
    local server = ledger:listen(place, {
        on_data = function(sock, this)
            this:take(sock)
            if this.received == 100 then
                this:send(sock, 100)
                sock:close()
            end
        end,
    })
    if not server then
        return
    end
    local answers = 0
    -- By name: two addresses, of which the first refuses.
    ledger:connect({ host = "localhost", port = ledger:port() }, {
        reconnect = { min = 0.01, max = 0.02 },
        on_connect = function(sock, this)
            this:send(sock, 100)
        end,
        on_data = function(sock, this)
            this:take(sock)
            if this.received == 100 then
                answers = answers + 1
                if answers == 3 then
                    ledger.satisfied = true
                    sock:close()
                end
            end
        end,
    })
    ledger.must_complete = true
    return function()
        return ledger.satisfied and all_closed(ledger)
    end
end

--- The reader does not read before the writer is stuck.
function scenarios.stalled(ledger, place)
    local total, stalled = 4 * 1024 * 1024, true
    local reader, reading
    local server = ledger:listen(place, {
        read_limit = 64 * 1024,
        on_accept = function(sock, this)
            reader, reading = sock, this
        end,
        on_data = function(sock, this)
            if not stalled then
                this:take(sock)
            end
        end,
    })
    if not server then
        return
    end
    local client, this = ledger:connect({ host = place.host, port = ledger:port() }, {
        on_connect = function(sock, this)
            this:send(sock, total)
            if sock.pending == 0 then
                sock:close()
            end
        end,
        on_drain = function(sock)
            sock:close()
        end,
    })
    local rounds = 0
    return function()
        -- Stuck: connected, and for some rounds nothing more could be handed over.
        if stalled and reader and this.sent > 0 then
            rounds = client.pending == ledger.pending and rounds + 1 or 0
            ledger.pending = client.pending
            if rounds > 2 or this.closes > 0 then
                stalled = false
                reading:take(reader)
            end
        end
        return all_closed(ledger)
    end
end

--- Everything is written before the connection stands, and closed at once.
function scenarios.pending(ledger, place)
    local server = ledger:listen(place, {})
    if not server then
        return
    end
    local client, this = ledger:connect({ host = place.host, port = ledger:port() }, {})
    if client then
        for _ = 1, 16 do
            this:send(client, 64 * 1024)
        end
        client:close()
    end
    return function()
        return all_closed(ledger)
    end
end

--- Those that move megabytes.
scenarios.large = { pending = true, stalled = true }

local path = os.tmpname()
os.remove(path)

--- Where to listen.
function scenarios.place(name)
    if name == "unix" then
        os.remove(path)
        return { host = "unix:" .. path }
    end
    return { host = "127.0.0.1", port = 0 }
end

--- Whether the last place was left as it was found.
function scenarios.is_tidy()
    -- `io.open` refuses sockets; what exists can be renamed.
    return not os.rename(path, path)
end

--- Whether this build has what the scenario needs.
function scenarios.is_possible(name)
    local place = scenarios.place(name)
    if place.port then
        return true
    end
    local done, server = pcall(evsock.listen, place.host)
    if done and server then
        server:close()
        evsock.pump(0)
    end
    return done and server ~= nil
end

return scenarios
