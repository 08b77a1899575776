-- A Core's `Crypto`: digests, keys, checks and Base64 of texts.
--
-- Translation only: all of it is the core's. Digests are bytes; MD5Compute, which devices' logins
-- take as it is, gives digits.

local _, core = ...
local common, encoding = core.common, core.encoding

local crypto = {}

local function check_text(value, argument, call)
    return common.check_text(value, argument, call)
end

local function check_digest(result, name, call)
    return result or core.raise(call .. ": no digest " .. core.named(name)
        .. " (md5, sha1, sha224, sha256, sha384, sha512)")
end

function crypto.Base64Encode(data)
    return encoding.base64_encode(check_text(data, "data", "Base64Encode"))
end

function crypto.Base64Decode(text)
    local data = encoding.base64_decode(check_text(text, "text", "Base64Decode"))
    return data or core.raise("Base64Decode: the text is no Base64")
end

function crypto.MD5Compute(data)
    local digest = core.digest("md5", check_text(data, "data", "MD5Compute"))
    return (digest:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

-- Names are known in any case and with a hyphen: "SHA-256".
local function plain(name, call)
    return (check_text(name, "name", call):lower():gsub("^sha%-", "sha"))
end

function crypto.Digest(name, data)
    local found = core.digest(plain(name, "Digest"), check_text(data, "data", "Digest"))
    return check_digest(found, name, "Digest")
end

function crypto.HMAC(name, data, key)
    local found = core.hmac(
        plain(name, "HMAC"), check_text(key, "key", "HMAC"), check_text(data, "data", "HMAC"))
    return check_digest(found, name, "HMAC")
end

function crypto.CRC16Compute(data)
    return encoding.crc16(check_text(data, "data", "CRC16Compute"))
end

return crypto
