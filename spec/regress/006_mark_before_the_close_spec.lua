-- A peer sends its last bytes and its end of stream in one go; the handler of the bytes answers and
-- marks the answer. The socket closes when it is told of the end of stream, in the same pump. What
-- it had to tell before that close, `on_mark` among it, was dropped.

local helper = require "spec.helper"
local evsock = helper.evsock

describe("regress 006", function()
    after_each(helper.finish)

    -- `first` is called before the bytes are told of, `second` by their handler.
    local function run(first, second)
        local log = {}
        local client, peer = helper.pair()
        peer.on_data = function(self)
            log[#log + 1] = self:read()
            second(client, peer)
            self:write("answer")
            assert.is_true(self:mark())
            assert.is_true(self:mark())
        end
        for _, name in ipairs { "mark", "close" } do
            peer["on_" .. name] = function()
                log[#log + 1] = name
            end
        end
        client:write("question")
        first(client, peer)
        helper.pump_until(function() return log[#log] == "close" end)
        assert.are.same({ "question", "mark", "mark", "close" }, log)
    end

    local function nothing()
    end

    -- The end of stream is there before anything more is told.
    local function shut(client, peer)
        client:shutdown()
        local deadline = evsock.now() + 5 * helper.slow
        repeat
            local stands = peer:look()
        until not stands or evsock.now() > deadline
    end

    it("a mark is told of before the close that an end of stream brings", function()
        run(shut, nothing)
    end)

    it("also if the end came before the mark, and after the bytes were told of", function()
        run(nothing, shut)
    end)
end)
