# What the rockspec has luarocks do on Windows, where a build of type "command" would do nothing: its
# command has two lines, and cmd.exe runs the first. For nmake and GNU make alike, hence one line each.

all:
	"$(LUA)" rockspec/build.lua "$(LUA_INCDIR)"

install:
	"$(LUA)" rockspec/install.lua "$(LUA_INCDIR)" "$(LIBDIR)" "$(LIB_EXTENSION)"
