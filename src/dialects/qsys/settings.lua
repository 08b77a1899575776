-- Q-SYS: what a Core leaves to its surroundings, which all parts of the dialect obey.

local _, core = ...

return core.common.settings { listen_raises = "boolean" }
