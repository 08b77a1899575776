//! Forms of text for dialects, in safe mlua: JSON, Base64, CRC-16, and floats as their bytes.
//!
//! Not here: what a dialect calls them. Invariants: JSON has at most `limits::JSON_DEPTH` tables within each
//! other, both ways; what can't be told in it is an error, never something else.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mlua::{IntoLua, IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};
use serde_json::{Map, Number, Value as Json};

use crate::limits::{JSON_DEPTH, JSON_HOLES};

/// Base64 as it is written everywhere; devices leave out the signs at its end now and then.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // `json_decode(text, null, arrays, objects)`: the value, or nil and why there is none. Tables get
    // one of the metatables.
    let decode = |lua: &Lua, (text, null, arrays, objects): (LuaString, Value, Table, Table)| {
        match serde_json::from_slice(&text.as_bytes()) {
            Ok(json) => Decoder { lua, null, arrays, objects }.value(json)?.into_lua_multi(lua),
            Err(why) => (Value::Nil, why.to_string()).into_lua_multi(lua),
        }
    };
    table.set("json_decode", lua.create_function(decode)?)?;
    // `json_encode(value, null, indented, empty_is_array)`: the text, or nil and why there is none.
    table.set("json_encode", lua.create_function(encode)?)?;
    let base64 = |_: &Lua, data: LuaString| Ok(BASE64.encode(data.as_bytes()));
    table.set("base64_encode", lua.create_function(base64)?)?;
    // Nil for what is none.
    let bytes = |lua: &Lua, text: LuaString| {
        let text: Vec<u8> =
            text.as_bytes().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        BASE64.decode(text).ok().map(|bytes| lua.create_string(bytes)).transpose()
    };
    table.set("base64_decode", lua.create_function(bytes)?)?;
    let crc = |_: &Lua, data: LuaString| Ok(crc16(&data.as_bytes()));
    table.set("crc16", lua.create_function(crc)?)?;
    add_floats(lua, table)
}

/// Lua 5.1 and 5.2 have no `string.pack`.
fn add_floats(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // `float_bytes(number, wide)`: of IEEE 754, big endian; 8 if it is wide, else the nearest 4.
    let bytes = |lua: &Lua, (number, wide): (f64, bool)| {
        #[expect(clippy::cast_possible_truncation, reason = "the nearest is what is asked for")]
        let narrow = number as f32;
        if wide {
            lua.create_string(number.to_be_bytes())
        } else {
            lua.create_string(narrow.to_be_bytes())
        }
    };
    table.set("float_bytes", lua.create_function(bytes)?)?;
    // `bytes_float(bytes)`: of 4 or 8; nil for any other number of them.
    let number = |_: &Lua, bytes: LuaString| {
        let bytes = bytes.as_bytes();
        let narrow = <[u8; 4]>::try_from(&*bytes).map(|bytes| f32::from_be_bytes(bytes).into());
        Ok(narrow.or_else(|_| <[u8; 8]>::try_from(&*bytes).map(f64::from_be_bytes)).ok())
    };
    table.set("bytes_float", lua.create_function(number)?)
}

/// CRC-16 of the reflected polynomial 0x8005, which begins with 0 (ARC).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xA001 } else { sum >> 1 }
        })
    })
}

// Reading ---------------------------------------------------------------------------------------

struct Decoder<'lua> {
    lua: &'lua Lua,
    null: Value,
    arrays: Table,
    objects: Table,
}

impl Decoder<'_> {
    /// As deep as the text, which `serde_json` bounds.
    fn value(&self, json: Json) -> mlua::Result<Value> {
        Ok(match json {
            Json::Null => self.null.clone(),
            Json::Bool(is_so) => Value::Boolean(is_so),
            Json::Number(number) => match number.as_i64() {
                Some(number) => number.into_lua(self.lua)?,
                None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::String(self.lua.create_string(text)?),
            Json::Array(items) => {
                let list = self.lua.create_table_with_capacity(items.len(), 0)?;
                for item in items {
                    list.raw_push(self.value(item)?)?;
                }
                list.set_metatable(Some(self.arrays.clone()))?;
                Value::Table(list)
            }
            Json::Object(fields) => {
                let object = self.lua.create_table_with_capacity(0, fields.len())?;
                for (name, field) in fields {
                    object.raw_set(name, self.value(field)?)?;
                }
                object.set_metatable(Some(self.objects.clone()))?;
                Value::Table(object)
            }
        })
    }
}

// Writing ---------------------------------------------------------------------------------------

fn encode(
    lua: &Lua,
    (value, null, indented, empty_is_array): (Value, Value, bool, bool),
) -> mlua::Result<MultiValue> {
    let encoder = Encoder { null, empty_is_array };
    let mut text = Vec::new();
    let written = encoder.value(&value, 0).and_then(|json| {
        let written = if indented {
            serde_json::to_writer_pretty(&mut text, &json)
        } else {
            serde_json::to_writer(&mut text, &json)
        };
        written.map_err(|why| why.to_string())
    });
    match written {
        Ok(()) => lua.create_string(text)?.into_lua_multi(lua),
        Err(why) => (Value::Nil, why).into_lua_multi(lua),
    }
}

struct Encoder {
    null: Value,
    empty_is_array: bool,
}

impl Encoder {
    fn value(&self, value: &Value, depth: usize) -> Result<Json, String> {
        if *value == self.null {
            return Ok(Json::Null);
        }
        match value {
            Value::Nil => Ok(Json::Null),
            Value::Boolean(is_so) => Ok(Json::Bool(*is_so)),
            Value::Integer(number) => Ok(Json::from(*number)),
            Value::Number(number) => Number::from_f64(*number)
                .map(Json::Number)
                .ok_or_else(|| format!("{number} is no number of JSON")),
            Value::String(text) => match text.to_str() {
                Ok(text) => Ok(Json::from(&*text)),
                Err(_) => Err("a text is not UTF-8".to_owned()),
            },
            Value::Table(_) if depth == JSON_DEPTH => {
                Err(format!("more than {JSON_DEPTH} tables stand within each other"))
            }
            Value::Table(table) => {
                self.table(table, depth + 1).map_err(|why| why.to_string()).and_then(|json| json)
            }
            other => Err(format!("a {} is no value of JSON", other.type_name())),
        }
    }

    /// The outer error is Lua's, the inner one that of a value.
    fn table(&self, table: &Table, depth: usize) -> mlua::Result<Result<Json, String>> {
        let kind = match table.metatable() {
            Some(metatable) => metatable.raw_get::<Value>("__jsontype")?,
            None => Value::Nil,
        };
        // A marked array may have holes. Lua's own length of it is another on each Lua.
        let marked = if let Value::String(kind) = &kind { Some(*kind == "array") } else { None };
        let places = Places::of(table)?;
        if !marked.unwrap_or(places.is_list(self.empty_is_array)) {
            return self.object(table, depth);
        }
        let has_holes = marked.is_some() && places.highest - places.count <= JSON_HOLES;
        let length = if has_holes { places.highest } else { places.count };
        if let Some(key) = &places.stray {
            return Ok(Err(format!("a table that is an array has the key {}", shown(key))));
        }
        if places.highest > length {
            let missing = places.missing(table)?;
            return Ok(Err(format!(
                "a list has a value at {} but none at {missing}; null may stand there",
                places.highest
            )));
        }
        let items = (1..=length).map(|place| table.raw_get::<Value>(place));
        let items: Vec<Value> = items.collect::<mlua::Result<_>>()?;
        Ok(items.iter().map(|item| self.value(item, depth)).collect())
    }

    fn object(&self, table: &Table, depth: usize) -> mlua::Result<Result<Json, String>> {
        let mut fields = Map::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, field) = pair?;
            let Value::String(name) = &key else {
                let why = "a table that is no list has the key";
                return Ok(Err(format!("{why} {}, which is no text", shown(&key))));
            };
            let Ok(name) = name.to_str() else { return Ok(Err("a name is not UTF-8".to_owned())) };
            match self.value(&field, depth) {
                Ok(json) => fields.insert(name.to_owned(), json),
                Err(why) => return Ok(Err(why)),
            };
        }
        Ok(Ok(Json::Object(fields)))
    }
}

/// Which places of a list the keys of a table are.
struct Places {
    count: usize,
    highest: usize,
    /// A key that is no place.
    stray: Option<Value>,
}

impl Places {
    fn of(table: &Table) -> mlua::Result<Self> {
        let mut places = Self { count: 0, highest: 0, stray: None };
        for pair in table.pairs::<Value, Value>() {
            let key = pair?.0;
            let place =
                if let Value::Integer(key) = key { usize::try_from(key).ok() } else { None };
            match place {
                Some(place) if place > 0 => {
                    places.count += 1;
                    places.highest = places.highest.max(place);
                }
                _ => places.stray = Some(key),
            }
        }
        Ok(places)
    }

    /// For a table that nobody has marked.
    const fn is_list(&self, empty_is: bool) -> bool {
        self.stray.is_none() && (self.count > 0 || empty_is)
    }

    /// The first place without a value: there are at most `count` before it.
    fn missing(&self, table: &Table) -> mlua::Result<usize> {
        for place in 1..=self.count {
            if table.raw_get::<Value>(place)?.is_nil() {
                return Ok(place);
            }
        }
        Ok(self.count + 1)
    }
}

/// A key, for a message.
fn shown(key: &Value) -> String {
    match key {
        Value::String(text) => format!("'{}'", text.to_string_lossy()),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(is_so) => is_so.to_string(),
        other => format!("of type {}", other.type_name()),
    }
}
