-- LuaSec's certificates: `ssl.loadcertificate`, and what `getpeercertificate` returns.
--
-- Not here: reading DER (`src/tls`), who is believed (there, too). Of what LuaSec would tell,
-- `extensions` has alternative names alone.

local _, core = ...
local shared = core.part "luasocket/shared"

local DAYS_TEXT = "%s %2d %02d:%02d:%02d %d GMT"
local MONTHS = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
}

-- Identifiers by OpenSSL's long names.
local NAME_PARTS = {
    ["0.9.2342.19200300.100.1.1"] = "userId",
    ["0.9.2342.19200300.100.1.25"] = "domainComponent",
    ["1.2.840.113549.1.9.1"] = "emailAddress",
    ["2.5.4.3"] = "commonName",
    ["2.5.4.4"] = "surname",
    ["2.5.4.5"] = "serialNumber",
    ["2.5.4.6"] = "countryName",
    ["2.5.4.7"] = "localityName",
    ["2.5.4.8"] = "stateOrProvinceName",
    ["2.5.4.9"] = "streetAddress",
    ["2.5.4.10"] = "organizationName",
    ["2.5.4.11"] = "organizationalUnitName",
    ["2.5.4.12"] = "title",
    ["2.5.4.13"] = "description",
    ["2.5.4.15"] = "businessCategory",
    ["2.5.4.17"] = "postalCode",
    ["2.5.4.41"] = "name",
    ["2.5.4.42"] = "givenName",
    ["2.5.4.43"] = "initials",
    ["2.5.4.44"] = "generationQualifier",
    ["2.5.4.46"] = "dnQualifier",
    ["2.5.4.65"] = "pseudonym",
    ["2.5.4.97"] = "organizationIdentifier",
}
local SIGNATURES = {
    ["1.2.840.10045.4.1"] = "ecdsa-with-SHA1",
    ["1.2.840.10045.4.3.2"] = "ecdsa-with-SHA256",
    ["1.2.840.10045.4.3.3"] = "ecdsa-with-SHA384",
    ["1.2.840.10045.4.3.4"] = "ecdsa-with-SHA512",
    ["1.2.840.113549.1.1.4"] = "md5WithRSAEncryption",
    ["1.2.840.113549.1.1.5"] = "sha1WithRSAEncryption",
    ["1.2.840.113549.1.1.10"] = "rsassaPss",
    ["1.2.840.113549.1.1.11"] = "sha256WithRSAEncryption",
    ["1.2.840.113549.1.1.12"] = "sha384WithRSAEncryption",
    ["1.2.840.113549.1.1.13"] = "sha512WithRSAEncryption",
    ["1.3.101.112"] = "ED25519",
    ["1.3.101.113"] = "ED448",
}
local KEYS = {
    ["1.2.840.10040.4.1"] = "DSA",
    ["1.2.840.10045.2.1"] = "EC",
    ["1.2.840.113549.1.1.1"] = "RSA",
}
local BITS = {
    ["1.2.840.10045.3.1.7"] = 256,
    ["1.3.101.112"] = 256,
    ["1.3.101.113"] = 456,
    ["1.3.132.0.10"] = 256,
    ["1.3.132.0.34"] = 384,
    ["1.3.132.0.35"] = 521,
}
local DIGESTS = { sha1 = true, sha256 = true, sha512 = true }

-- Tags of texts in DER that are not of one byte a character.
local T61, UNIVERSAL, BMP = 20, 28, 30
-- Tags of alternative names, and the name that LuaSec has for each.
local ALTERNATIVES = {
    [0x81] = "rfc822Name", [0x82] = "dNSName", [0x86] = "uniformResourceIdentifier",
    [0x87] = "iPAddress",
}

-- One character in UTF-8.
local function utf8_of(code)
    if code < 0x80 then
        return string.char(code)
    end
    local tail, first = "", 0x40
    repeat
        tail = string.char(0x80 + code % 0x40) .. tail
        code, first = math.floor(code / 0x40), first / 2
    until code < first
    return string.char(0x100 - first * 2 + code) .. tail
end

local function in_utf8(tag, value)
    local width = tag == BMP and 2 or tag == UNIVERSAL and 4 or tag == T61 and 1
    if not width then
        return value
    end
    return (value:gsub(("."):rep(width), function(character)
        local code = 0
        for place = 1, width do
            code = code * 256 + character:byte(place)
        end
        return utf8_of(code)
    end))
end

local function address_of(value)
    if #value == 4 then
        return table.concat({ value:byte(1, 4) }, ".")
    end
    local groups = {}
    for at = 1, #value - 1, 2 do
        groups[#groups + 1] = ("%x"):format(value:byte(at) * 256 + value:byte(at + 1))
    end
    local text = ":" .. table.concat(groups, ":") .. ":"
    -- The longest run of zeros becomes "::".
    for length = 8, 2, -1 do
        local run = ":" .. ("0:"):rep(length)
        local from, to = text:find(run, 1, true)
        if from then
            text = text:sub(1, from) .. ":" .. text:sub(to + 1)
            break
        end
    end
    return (text:gsub("^:(%x)", "%1"):gsub("(%x):$", "%1"))
end

local function expect(certificate, method)
    shared.expect(certificate, "SSL:Certificate", method)
    return certificate
end

local function parts_of(certificate, parts)
    local list = {}
    for place, part in ipairs(parts) do
        list[place] = {
            oid = part.kind,
            name = NAME_PARTS[part.kind] or part.kind,
            value = certificate.encoding == "utf8" and in_utf8(part.tag, part.value) or part.value,
        }
    end
    return list
end

local function date_of(seconds)
    local date = os.date("!*t", seconds)
    return DAYS_TEXT:format(
        MONTHS[date.month], date.day, date.hour, date.min, date.sec, date.year)
end

local function to_hex(bytes, form)
    return (bytes:gsub(".", function(byte)
        return form:format(byte:byte())
    end))
end

local methods = {}

function methods.digest(certificate, name)
    expect(certificate, "digest")
    name = shared.text(name, 1, "digest", "sha1")
    if not DIGESTS[name] then
        return nil, "digest algorithm not supported (" .. name .. ")"
    end
    return to_hex(core.digest(name, certificate.der), "%02x")
end

function methods.extensions(certificate)
    local found = {}
    for _, name in ipairs(expect(certificate, "extensions").facts.names) do
        local kind = ALTERNATIVES[name.tag]
        local value = kind == "iPAddress" and address_of(name.value) or name.value
        if kind then
            found[kind] = found[kind] or {}
            table.insert(found[kind], value)
        end
    end
    if not next(found) then
        return {}
    end
    found.name = "X509v3 Subject Alternative Name"
    return { ["2.5.29.17"] = found }
end

function methods.getsignaturename(certificate)
    local kind = expect(certificate, "getsignaturename").facts.signature
    return SIGNATURES[kind] or kind
end

-- Whether the certificate vouches for the other, by way of those behind it.
function methods.issued(certificate, subject, ...)
    local chain = { expect(subject, "issued").der }
    for _, other in ipairs { ... } do
        chain[#chain + 1] = expect(other, "issued").der
    end
    local compiled, why = core.system.tls {
        ca = expect(certificate, "issued"):pem(), insecure_name = true,
    }
    if not compiled then
        return nil, why
    end
    local ok, message = core.system.judge(compiled, chain, "")
    if not ok then
        return nil, message
    end
    return true
end

function methods.issuer(certificate)
    return parts_of(certificate, expect(certificate, "issuer").facts.issuer)
end

function methods.notafter(certificate)
    return date_of(expect(certificate, "notafter").facts.not_after)
end

function methods.notbefore(certificate)
    return date_of(expect(certificate, "notbefore").facts.not_before)
end

function methods.pem(certificate)
    return core.part "pem" (expect(certificate, "pem").der, "CERTIFICATE")
end

function methods.pubkey(certificate)
    local facts = expect(certificate, "pubkey").facts
    local bits = facts.rsa_bits or BITS[facts.curve or facts.key_kind] or 0
    return core.part "pem" (facts.key, "PUBLIC KEY"), KEYS[facts.key_kind] or "Unknown", bits
end

function methods.serial(certificate)
    local serial = expect(certificate, "serial").facts.serial
    return to_hex((serial:gsub("^%z+(.)", "%1")), "%02X")
end

-- In "ai5" texts are given as they stand there.
function methods.setencode(certificate, encoding)
    expect(certificate, "setencode")
    encoding = shared.text(encoding, 1, "setencode")
    if encoding ~= "ai5" and encoding ~= "utf8" then
        return false
    end
    certificate.encoding = encoding
    return true
end

function methods.subject(certificate)
    return parts_of(certificate, expect(certificate, "subject").facts.subject)
end

function methods.validat(certificate, seconds)
    local facts = expect(certificate, "validat").facts
    seconds = shared.number(seconds, 1, "validat")
    return facts.not_before <= seconds and seconds <= facts.not_after
end

local Certificate = shared.class("SSL:Certificate", {}, methods)
Certificate.__tostring = shared.printer "X509 certificate"

local certificates = {}

-- Of DER; nil for what is none.
function certificates.of(der)
    local facts = core.system.certificate(der)
    if not (facts and facts.not_before) then
        return nil, "the certificate can not be read"
    end
    return setmetatable({ der = der, facts = facts, encoding = "ai5" }, Certificate)
end

-- The first of a text in PEM.
function certificates.load(text)
    text = shared.text(text, 1, "loadcertificate")
    local found, why = core.system.certificates_in("loadcertificate", text)
    if not found then
        return nil, why
    end
    return certificates.of(found[1])
end

return certificates
