-- A small plugin script for a Q-SYS Core: it keeps a projector connected, polls it and switches it.
-- projector_spec.lua tests it.

local ADDRESS, PORT = "10.0.0.9", 4352
local POLL, ANSWER_WITHIN = 30, 3

local projector = TcpSocket.New()
projector.ReconnectTimeout = 5
local poll, patience = Timer.New(), Timer.New()

local function say(status)
    Controls.Status.String = status
end

local function ask(question)
    if projector.IsConnected then
        projector:Write(question .. "\r")
        patience:Start(ANSWER_WITHIN)
    end
end

projector.EventHandler = function(_, event)
    if event == TcpSocket.Events.Connected then
        say "online"
        ask "POWR?"
        poll:Start(POLL)
    elseif event == TcpSocket.Events.Data then
        local line = projector:ReadLine(TcpSocket.EOL.Any)
        while line do
            patience:Stop()
            say "online"
            local power = line:match("^POWR=(%d)$")
            if power then
                Controls.Power.Boolean = power == "1"
            end
            line = projector:ReadLine(TcpSocket.EOL.Any)
        end
    else
        poll:Stop()
        patience:Stop()
        say "offline"
    end
end

poll.EventHandler = function()
    ask "POWR?"
end

patience.EventHandler = function()
    patience:Stop()
    say "no answer"
end

Controls.Power.EventHandler = function(control)
    ask("POWR " .. (control.Boolean and 1 or 0))
end

projector:Connect(ADDRESS, PORT)
