-- Runs the work of work.lua inside a host with the recipe of examples/hosts: drive.lua HOST.
-- Ends by itself when the host's loop does.

local name = ...
local evsock = require "evsock"
local work = dofile "spec/hosts/work.lua"
local recipe = assert(loadfile(("examples/hosts/with_%s.lua"):format(name)))("required")

local hosts = {}

local function run_timer_of_uv(uv)
    local timer = uv.new_timer()
    timer:start(5, 5, function()
        work.tick()
        if not work.is_running() then
            timer:close()
        end
    end)
end

function hosts.luv()
    local uv = require "luv"
    recipe(evsock)
    work.start()
    run_timer_of_uv(uv)
    uv.run()
    work.report()
end

function hosts.cqueues()
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    work.start()
    recipe(evsock, queue)
    queue:wrap(function()
        while work.is_running() do
            cqueues.sleep(work.period)
            work.tick()
        end
    end)
    assert(queue:loop())
    work.report()
end

-- Debian's copas has no timers: what its users do is step until something is due.
function hosts.copas()
    local copas = require "copas"
    work.start()
    recipe(evsock)
    local due = evsock.now() + work.period
    while evsock.active() > 0 do
        copas.step(math.max(0, due - evsock.now()))
        if evsock.now() >= due then
            work.tick()
            due = evsock.now() + work.period
        end
    end
    assert(copas.step(0.05) == false, "the descriptor is still watched")
    work.report()
end

function hosts.select()
    local socket = require "socket"
    local bell = recipe(evsock)
    work.start()
    local due = evsock.now() + work.period
    while evsock.active() > 0 do
        local readable = socket.select({ bell }, nil, math.max(0, due - evsock.now()))
        if readable[bell] then
            evsock.pump()
        end
        if evsock.now() >= due then
            work.tick()
            due = evsock.now() + work.period
        end
    end
    work.report()
end

function hosts.neovim()
    local vim = rawget(_G, "vim")
    recipe(evsock)
    work.start(function()
        -- After the pump that this is called in, when nothing is active any more.
        vim.schedule(function()
            work.report()
            vim.cmd "quitall!"
        end)
    end)
    run_timer_of_uv(vim.uv or vim.loop)
end

hosts[name]()
