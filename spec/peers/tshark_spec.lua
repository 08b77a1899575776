-- The key log, by a program that reads one: tshark decrypts sessions of ours, in both versions.
--
-- A relay sees what passes, and the capture is written by hand from that: capturing needs rights.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"

-- Little-endian, for the heads of the file.
local function little(value)
    local bytes = {}
    for place = 1, 4 do
        bytes[place], value = string.char(value % 256), math.floor(value / 256)
    end
    return table.concat(bytes)
end

local function big(value, width)
    return little(value):reverse():sub(-width)
end

local SYN, PUSH, ACK = 2, 8, 16

-- One packet of IPv4 and TCP. `up`: from the client, who has that port.
local function packet(port, up, flags, sequence, acknowledged, bytes)
    local one, other = "\127\0\0\1", "\127\0\0\2"
    local from, to = port, 443
    if not up then
        one, other, from, to = other, one, to, from
    end
    return "\69\0" .. big(40 + #bytes, 2) .. "\0\0\64\0\64\6\0\0" .. one .. other
        .. big(from, 2) .. big(to, 2) .. big(sequence, 4) .. big(acknowledged, 4)
        .. "\80" .. string.char(flags) .. "\255\255\0\0\0\0" .. bytes
end

-- The packets of a connection whose pieces are `{ up, bytes }`.
local function packets(port, pieces)
    local list = {
        packet(port, true, SYN, 0, 0, ""), packet(port, false, SYN + ACK, 0, 1, ""),
        packet(port, true, ACK, 1, 1, ""),
    }
    local sent = { [true] = 1, [false] = 1 }
    for _, piece in ipairs(pieces) do
        local up, bytes = piece[1], piece[2]
        list[#list + 1] = packet(port, up, PUSH + ACK, sent[up], sent[not up], bytes)
        sent[up] = sent[up] + #bytes
    end
    return list
end

-- A file in pcap's format, of raw IP.
local function capture(list)
    local head = { little(0xa1b2c3d4), "\2\0\4\0", little(0), little(0), little(65535) }
    local file = { table.concat(head), little(101) }
    for place, bytes in ipairs(list) do
        file[#file + 1] = little(place) .. little(0) .. little(#bytes) .. little(#bytes) .. bytes
    end
    return table.concat(file)
end

describe("tshark", function()
    local certificates = kit.certificates_for(setup, teardown)
    local pcap, keys = "capture.pcap", "keys.log"

    after_each(helper.finish)

    -- The pieces of a session in which a client asks for a page.
    local function session(version, page, client_tls, server_tls)
        local record = kit.server(certificates, "ecdsa", server_tls)
        local relay, pieces = kit.relay(record.port), {}
        relay.change = function(bytes, way)
            pieces[#pieces + 1] = { way == "up", bytes }
            return bytes
        end
        client_tls = certificates:trusting(client_tls)
        client_tls.max_version = version
        local client = kit.pair(certificates, { tls = client_tls }, nil, relay.port)
        client:write("GET /" .. page .. " HTTP/1.0\r\nHost: localhost\r\n\r\n")
        helper.pump_until(function()
            return record.sockets[1] and record.sockets[1].buffered > 0
        end, kit.WAIT, "the question")
        assert.equal(version, client.tls.version)
        record.sockets[1]:write("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nit is " .. #page)
        helper.pump_until(function() return client.buffered > 0 end, kit.WAIT, "the answer")
        return pieces
    end

    -- What tshark reads of the capture, with a key log or without.
    local function read(path)
        local words = { "tshark", "-n", "-r", certificates:path(pcap), "-Y", "http", "-T", "fields",
            "-e", "tcp.stream", "-e", "http.request.uri", "-e", "http.file_data" }
        if path then
            words[#words + 1] = "-o"
            words[#words + 1] = "tls.keylog_file:" .. path
        end
        local said, why, status = peers.run(words)
        assert.equal(0, status, why)
        return said
    end

    it("decrypts sessions of a client and of a server by their key log, and not without", function()
        local log = { keylog = certificates:path(keys) }
        local list = {}
        for place, pieces in ipairs {
            session("1.2", "by-client", log), session("1.3", "by-client", log),
            session("1.2", "by-server", nil, log), session("1.3", "by-server", nil, log),
        } do
            for _, bytes in ipairs(packets(50000 + place, pieces)) do
                list[#list + 1] = bytes
            end
        end
        peers.write_file(certificates:path(pcap), capture(list))
        local said = read(certificates:path(keys))
        for stream, page in ipairs { "by-client", "by-client", "by-server", "by-server" } do
            local line = ("%d\t/%s\t\n"):format(stream - 1, page)
            assert.is_truthy(said:find(line, 1, true), said)
        end
        -- The answers, as text or in digits, as versions of tshark differ.
        local _, answers = said:gsub("it is 9", "")
        local _, digits = said:gsub("69742069732039", "")
        assert.equal(4, answers + digits, said)
        assert.equal("", read())
    end)
end)
