-- LuaSocket: `select` over its own objects, and over those of others that have a descriptor.
--
-- Not here: when an object is ready (each class says that, see `shared.selectable`). Invariant: a
-- descriptor of our own is never watched as one of others.

local evsock, core = ...
local shared = core.part "luasocket/shared"
local misc = core.part "luasocket/misc"

local SETSIZE = misc.module._SETSIZE

-- What `select` asks of a descriptor of others, by way of its watch.
local function foreign(fd, mode, state)
    local known = state.watches[fd]
    if not known then
        known = { fd = fd, mode = mode }
        state.watches[fd] = known
        state.order[#state.order + 1] = known
    elseif known.mode ~= mode then
        known.mode = "rw"
    end
    return known
end

local function is_ready(item)
    local watch = item.watch
    if watch then
        return watch[item.mode] == true
    elseif item.mode == "r" then
        return item.poll.readable(item.object)
    end
    return item.poll.writable(item.object)
end

-- The items of one list; `dirty` ones of others are ready at once.
local function gather(list, index, mode, state)
    local items = {}
    if list == nil then
        return items
    elseif type(list) ~= "table" then
        shared.expected(index, "select", "table", list)
    end
    local place = 1
    while list[place] ~= nil do
        if place > SETSIZE then
            core.raise("bad argument #" .. index .. " to 'select' (too many sockets, "
                .. SETSIZE .. " at most)")
        end
        local element = list[place]
        local object, poll = shared.polled(element)
        local item = { element = element, object = object, poll = poll, mode = mode }
        if not poll then
            local fd = element.getfd and element:getfd() or -1
            object, poll = shared.owner_of(fd)
            item.object, item.poll = object, poll
            if not poll and fd >= 0 then
                item.watch = foreign(fd, mode, state)
                local is_dirty = mode == "r" and element.dirty and element:dirty()
                item.dirty = is_dirty and true or nil
            end
        end
        local source = item.poll and item.poll.source(item.object)
        if source and not state.known[source] then
            state.known[source] = true
            state.sources[#state.sources + 1] = source
        end
        if source or item.watch then
            items[#items + 1] = item
        end
        place = place + 1
    end
    return items
end

local function any_ready(items)
    for place = 1, #items do
        local item = items[place]
        if item.dirty or is_ready(item) then
            return true
        end
    end
    return false
end

-- As a list and by key.
local function result_of(items)
    local ready = {}
    for place = 1, #items do
        local item = items[place]
        if item.dirty or is_ready(item) then
            ready[#ready + 1] = item.element
            ready[item.element] = #ready
        end
    end
    return ready
end

-- Up to so many are asked one by one.
local MOST_ASKED = 64

-- Takes what has come for those that would otherwise be found not ready beside others that are.
local function catch_up(sources)
    for place = 1, math.min(#sources, MOST_ASKED) do
        evsock.attend(sources[place])
    end
end

local function open_watches(state)
    for _, known in ipairs(state.order) do
        local watch, message, code = evsock.watch(known.fd, known.mode, function(_, r, w)
            known.r, known.w = known.r or r, known.w or w
        end)
        if not watch then
            core.raise("select: " .. shared.word(message, code))
        end
        known.watch = watch
        state.sources[#state.sources + 1] = watch
    end
end

local function close_watches(state)
    for _, known in ipairs(state.order) do
        if known.watch then
            known.watch:close()
        end
    end
end

local module = {}

function module.select(reading, writing, timeout)
    timeout = shared.number(timeout, 3, "select", -1)
    local state = { known = {}, sources = {}, watches = {}, order = {} }
    local readers = gather(reading, 1, "r", state)
    local writers = gather(writing, 2, "w", state)
    local function check()
        return any_ready(readers) or any_ready(writers)
    end
    if timeout == 0 or check() then
        catch_up(state.sources)
    end
    if #state.order > 0 or not check() then
        local is_dirty = check()
        open_watches(state)
        local wait = is_dirty and 0 or timeout >= 0 and timeout ~= math.huge and timeout or nil
        local ok, problem, message, code =
            evsock.pcall(core.wait, state.sources, check, wait)
        close_watches(state)
        if not ok then
            error(problem, 0)
        elseif problem == nil then
            core.raise("select: " .. shared.word(message, code))
        end
    end
    local ready, writable = result_of(readers), result_of(writers)
    if #ready + #writable == 0 then
        return ready, writable, "timeout"
    end
    return ready, writable
end

return { module = module }
