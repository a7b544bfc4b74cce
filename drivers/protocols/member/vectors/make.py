#!/usr/bin/env python3
"""Makes member.json: values of the member application computed from docs/protocols/phone.md alone.

An implementation of its own, in Python with the standard library only (AES, CMAC, GCM, P-256 and ECDSA included), so that the
TypeScript code is compared with something that shares nothing with it. Each primitive is checked against a published
vector before anything is written. Usage: python3 make.py > member.json
"""
import base64
import hashlib
import hmac
import json


# --- AES-128 (FIPS 197) ---
def _sbox():
    p = q = 1
    box = [0] * 256
    while True:
        p = p ^ ((p << 1) & 0xFF) ^ (0x1B if p & 0x80 else 0)
        q ^= (q << 1) & 0xFF
        q ^= (q << 2) & 0xFF
        q ^= (q << 4) & 0xFF
        if q & 0x80:
            q ^= 0x09
        rot = lambda n: ((q << n) | (q >> (8 - n))) & 0xFF
        box[p] = q ^ rot(1) ^ rot(2) ^ rot(3) ^ rot(4) ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return box


SBOX = _sbox()
xtime = lambda a: ((a << 1) ^ 0x1B) & 0xFF if a & 0x80 else a << 1


def aes(key, block):
    words = [list(key[i : i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 44):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = xtime(rcon)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    keys = [sum(words[4 * r : 4 * r + 4], []) for r in range(11)]
    s = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 11):
        s = [SBOX[b] for b in s]
        s = [s[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if r < 10:
            mixed = []
            for c in range(0, 16, 4):
                col = s[c : c + 4]
                every = col[0] ^ col[1] ^ col[2] ^ col[3]
                mixed += [col[i] ^ every ^ xtime(col[i] ^ col[(i + 1) % 4]) for i in range(4)]
            s = mixed
        s = [a ^ b for a, b in zip(s, keys[r])]
    return bytes(s)


xor = lambda a, b: bytes(x ^ y for x, y in zip(a, b))


def cbc(key, iv, data):
    out = b""
    for i in range(0, len(data), 16):
        iv = aes(key, xor(iv, data[i : i + 16]))
        out += iv
    return out


# --- CMAC (NIST SP 800-38B) ---
def cmac(key, data):
    def double(b):
        n = int.from_bytes(b, "big") << 1
        return ((n & ((1 << 128) - 1)) ^ (0x87 if n >> 128 else 0)).to_bytes(16, "big")

    k1 = double(aes(key, bytes(16)))
    full = data and len(data) % 16 == 0
    last = data[-16:] if full else data[len(data) // 16 * 16 :] + b"\x80"
    head = data[: len(data) - 16] if full else data[: len(data) // 16 * 16]
    last = xor(last.ljust(16, b"\0"), k1 if full else double(k1))
    return cbc(key, bytes(16), head + last)[-16:]


# --- GCM with a 12-byte IV (NIST SP 800-38D) ---
def gcm(key, iv, aad, data):
    h = int.from_bytes(aes(key, bytes(16)), "big")

    def times(x, y):
        z = 0
        for i in range(127, -1, -1):
            if (x >> i) & 1:
                z ^= y
            y = (y >> 1) ^ (0xE1 << 120) if y & 1 else y >> 1
        return z

    out = b""
    for i in range(0, len(data), 16):
        out += xor(data[i : i + 16], aes(key, iv + (2 + i // 16).to_bytes(4, "big")))
    y = 0
    filled = lambda b: b + bytes(-len(b) % 16)
    blocks = filled(aad) + filled(out) + (8 * len(aad)).to_bytes(8, "big") + (8 * len(out)).to_bytes(8, "big")
    for i in range(0, len(blocks), 16):
        y = times(y ^ int.from_bytes(blocks[i : i + 16], "big"), h)
    return out + xor(y.to_bytes(16, "big"), aes(key, iv + b"\0\0\0\1"))


# --- P-256 (NIST SP 800-186) ---
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def mul(k, point):
    out = None
    while k:
        if k & 1:
            out = add(out, point)
        point = add(point, point)
        k >>= 1
    return out


compress = lambda q: bytes([2 + (q[1] & 1)]) + q[0].to_bytes(32, "big")


# --- ECDSA P-256 with SHA-256 (FIPS 186-5), its number k by RFC 6979 ---
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
digest = lambda data: hashlib.sha256(data).digest()


def sign(private, data):
    x = private.to_bytes(32, "big")
    z = int.from_bytes(digest(data), "big")
    seed = x + (z % N).to_bytes(32, "big")
    v, k = b"\1" * 32, bytes(32)
    step = lambda key, message: hmac.new(key, message, hashlib.sha256).digest()
    for mark in (b"\0", b"\1"):
        k = step(k, v + mark + seed)
        v = step(k, v)
    while True:
        v = step(k, v)
        number = int.from_bytes(v, "big")
        if 0 < number < N:
            r = mul(number, G)[0] % N
            s = pow(number, -1, N) * (z + r * private) % N
            if r and s:
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        k = step(k, v + b"\0")
        v = step(k, v)


def verify(public, data, signature):
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    if not (0 < r < N and 0 < s < N):
        return False
    z, w = int.from_bytes(digest(data), "big"), pow(s, -1, N)
    point = add(mul(z * w % N, G), mul(r * w % N, public))
    return point is not None and point[0] % N == r


def hkdf(secret, salt, info, length):
    prk = hmac.new(salt, secret, hashlib.sha256).digest()
    out = block = b""
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


# --- each primitive against a published vector ---
h = bytes.fromhex
assert aes(h("000102030405060708090a0b0c0d0e0f"), h("00112233445566778899aabbccddeeff")) == h(
    "69c4e0d86a7b0430d8cdb78070b4c55a"
), "FIPS 197 appendix C.1"
rfc4493 = h("2b7e151628aed2a6abf7158809cf4f3c")
assert cmac(rfc4493, b"") == h("bb1d6929e95937287fa37d129b756746"), "RFC 4493 example 1"
assert cmac(rfc4493, h("6bc1bee22e409f96e93d7e117393172a")) == h("070a16b46b4d4144f79bdd9dd04a287c"), "example 2"
assert cmac(rfc4493, h("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411")) == h(
    "dfa66747de9ae63030ca32611497c827"
), "RFC 4493 example 3"
assert gcm(bytes(16), bytes(12), b"", bytes(16)) == h(
    "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"
), "GCM test case 2"
assert hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42) == h(
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
), "RFC 5869 A.1"
assert mul(0xC88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433, G) == (
    0xDAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180,
    0x5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3,
), "RFC 5903 section 8.1"
rfc6979 = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
assert sign(rfc6979, b"sample") == h(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
), "RFC 6979 A.2.5"
assert verify(mul(rfc6979, G), b"sample", sign(rfc6979, b"sample"))
assert not verify(mul(rfc6979, G), b"Sample", sign(rfc6979, b"sample"))

# --- the fixed world: the same values as in the document's worked example ---
u = lambda value, size: value.to_bytes(size, "big")
merchantId, token = "M1001", "7Q2M9XK4T0VBE5HD"
merchantPrivate, ephemeralPrivate = u(0x1111, 32), u(0x2222, 32)
memberKey = bytes(range(0x10, 0x20))
siteKey = bytes(range(0x40, 0x50))
cardKeyId = h("c0c1c2c3c4c5c6c7")
terminal = h("0a0b0c0d0e0f")
terminalNonce, phoneNonce = bytes(range(0xA0, 0xB0)), bytes(range(0xB0, 0xC0))
issueIv = bytes(range(0x70, 0x80))
transactionId = h("0198c0de00007000800000000000000a")
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()

memberKeyId = hashlib.sha256(f"shouli key id 1 {merchantId} {token}".encode()).digest()[:8]
applicationId = h("f053484f554c4901") + hashlib.sha256(f"shouli merchant 1 {merchantId}".encode()).digest()[:8]
cardKey = cmac(siteKey, b"\x03" + cardKeyId)
recordKey = cmac(siteKey, b"\x04" + cardKeyId)


def record(counter, balance, kind, amount, transaction, limit):
    payload = (
        b"\x01" + cardKeyId + u(42, 6) + u(counter, 4) + u(balance, 6) + b"CNY" + u(1893456000, 5)
        + transaction + terminal + u(kind, 1) + u(amount, 6) + limit.ljust(16, b"\0") + bytes(2)
    )
    return payload + cmac(recordKey, payload)


record1 = record(1, 30000, 0, 30000, bytes(16), b"cake")
record2 = record(2, 20000, 1, 10000, transactionId, b"cake")


def context(operation, amount, points):
    return transactionId + terminal + operation + u(amount, 6) + b"CNY" + u(points, 6) + bytes(2)


def tap(selector, keyId, key, counter, ctx):
    t = bytes([selector]) + keyId + terminalNonce + phoneNonce + u(counter, 4) + ctx
    enc, mac = cmac(key, b"\x01" + t), cmac(key, b"\x02" + t)
    return {
        "counter": counter, "context": ctx, "transcript": t, "proof": cmac(key, b"\x50" + t),
        "localKey": cmac(key, b"\x07" + terminal), "localProof": cmac(cmac(key, b"\x07" + terminal), b"\x55" + t),
        "terminalProof": cmac(key, b"\x54" + t), "encryptionKey": enc, "macKey": mac,
        "confirm": cmac(mac, b"\x51" + t),
    }


earn = tap(0, memberKeyId, memberKey, 1, context(b"E", 30000, 300))
debit = tap(1, cardKeyId, cardKey, 2, context(b"D", 10000, 0))


def pad(data):
    return data + b"\x80" + bytes(-(len(data) + 1) % 16)


def secured(mark, n, header, data):
    iv = aes(debit["encryptionKey"], mark + bytes(11) + u(n, 4))
    sealed = cbc(debit["encryptionKey"], iv, pad(data))
    return sealed + cmac(debit["macKey"], mark + u(n, 4) + header + sealed)


def step(n, ins, p1, data, answer):
    header = bytes([0x84, ins, p1, 0])
    field = secured(b"C", n, header, data)
    return {
        "plainCommand": data, "plainAnswer": answer,
        "command": header + bytes([len(field)]) + field + b"\0",
        "answer": secured(b"R", n, h("9000"), answer) + h("9000"),
    }


text = "已扣 100.00，余额 200.00".encode()
result = b"\x00" + b"\xff" * 6 + u(20000, 6) + b"CNY" + u(len(text), 1) + text
steps = [
    step(0, 0x20, 0, b"", record1 + bytes(96)),
    step(1, 0x30, 1, record2, b""),
    step(2, 0x20, 0, b"", record1 + record2),
    step(3, 0x40, 0, result, b""),
]

merchantPublic = compress(mul(int.from_bytes(merchantPrivate, "big"), G))
ephemeralPublic = compress(mul(int.from_bytes(ephemeralPrivate, "big"), G))
secret = mul(int.from_bytes(merchantPrivate, "big") * int.from_bytes(ephemeralPrivate, "big"), G)[0].to_bytes(32, "big")
derived = hkdf(secret, token.encode(), b"shouli member key 1" + ephemeralPublic + merchantPublic, 28)
wrapped = ephemeralPublic + gcm(derived[:16], derived[16:], token.encode(), memberKey)
# Of a phone that can sign: its own public key behind the member key.
phonePoint = mul(0x5555, G)
phonePublic = compress(phonePoint)
wrappedKeys = ephemeralPublic + gcm(derived[:16], derived[16:], token.encode(), memberKey + phonePublic)
assert len(f"SHOULI1 KEY {token} {b64(wrappedKeys)}") == 160

head = f"SHOULI1 CPN {merchantId} SLC0000000000042 30000 CNY 1893456000 C"
issueEnc, issueMac = cmac(memberKey, b"\x05" + head.encode()), cmac(memberKey, b"\x06" + head.encode())
sealed = cbc(issueEnc, issueIv, pad(cardKeyId + cardKey + record1))
issued = issueIv + sealed + cmac(issueMac, b"\x49" + head.encode() + issueIv + sealed)

# --- the credential, and what the phone signs with it ---
credentialSignerPoint = mul(0x4444, G)
firstDay, lastDay = 20784, 20815
unsigned = b"\x01" + applicationId[8:] + memberKeyId + phonePublic + u(firstDay, 2) + u(lastDay, 2) + b"\x03" + cardKeyId
credentialSigned = b"shouli credential 1 " + unsigned
credential = unsigned + sign(0x4444, credentialSigned)
assert len(credential) == 127 and verify(credentialSignerPoint, credentialSigned, credential[63:])
spend = tap(0, memberKeyId, memberKey, 3, context(b"S", 2000, 200))
tapSigned = b"shouli tap 1 " + spend["transcript"] + spend["proof"]
spend["signature"] = sign(0x5555, tapSigned)
assert verify(phonePoint, tapSigned, spend["signature"])

# --- content packages ---
signerPrivate = u(0x3333, 32)
signerPoint = mul(0x3333, G)
signerPublic = compress(signerPoint)
utf = lambda words: words.encode()


def section(kind, value):
    return u(kind, 1) + u(len(value), 2) + value


def answer(word, mark, version, detail=""):
    covered = f"SHOULI1 {word} {merchantId} {version}{detail}"
    return f"{covered} {b64(cmac(memberKey, mark + utf(covered)))}"


def package(version, kind, iv, sections):
    head = f"SHOULI1 PKG {merchantId} {version}"
    content = b"\x01" + u(kind, 1) + u(version, 4) + memberKeyId + signerPublic + u(len(merchantId), 1)
    content += utf(merchantId) + b"".join(sections)
    signed = b"shouli package 1 " + content
    signature = sign(0x3333, signed)
    assert verify(signerPoint, signed, signature)
    enc, mac = cmac(memberKey, b"\x08" + utf(head)), cmac(memberKey, b"\x09" + utf(head))
    sealed = iv + cbc(enc, iv, pad(content + signature))
    sealed += cmac(mac, b"\x6d" + sealed)
    pieces = [sealed[at : at + 69] for at in range(0, len(sealed), 69)]
    parts = []
    for at, piece in enumerate(pieces):
        partMac = cmac(mac, b"\x70" + u(at + 1, 1) + u(len(pieces), 1) + piece)
        parts.append(f"{head} {at + 1}/{len(pieces)} {b64(piece + partMac)}")
        assert len(parts[-1]) <= 160
    return {
        "version": version, "head": head, "encryptionKey": enc, "macKey": mac, "iv": iv, "content": content,
        "signature": signature, "sealed": sealed, "parts": parts, "have": answer("HAVE", b"\x48", version),
    }


def coupon(number, balance, expiry, limit, limitText=""):
    return section(3, u(number, 6) + u(balance, 6) + b"CNY" + u(expiry, 5) + u(limit, 1) + utf(limitText))


title = utf("半价")
packageFull = package(1, 1, bytes(range(0x80, 0x90)), [
    section(1, utf("面包店")),
    section(2, u(3, 4) + b"CNY" + u(1, 6) + u(100, 6) + u(100, 6) + u(100, 6)),
    coupon(43, 5000, 1893456000, 1, "cake"),
    coupon(44, 100, 0, 2),
    section(4, u(1893456000, 5) + u(len(title), 1) + title + utf("Cake 蛋糕")),
    section(5, u(0, 2) + u(2, 2)),
    section(6, credential),
])
# The third part lost, the others here; and the last part here alone.
count = len(packageFull["parts"])
packageFull["needThird"] = answer("NEED", b"\x4e", 1, f" {1 << 2:08x}")
packageFull["needAllButLast"] = answer("NEED", b"\x4e", 1, f" {(1 << (count - 1)) - 1:08x}")
packageErase = package(2, 2, bytes(range(0x90, 0xA0)), [])
packageErase["kept"] = answer("KEPT", b"\x4b", 2, f" {cardKeyId.hex()}")
packageForfeit = package(3, 2, bytes(range(0xC0, 0xD0)), [section(7, cardKeyId)])

vectors = {
    "provenance": "make.py beside this file: Python 3 standard library only, primitives checked against FIPS 197, "
    "RFC 4493, RFC 5869, RFC 5903, RFC 6979 and the GCM specification",
    "merchantId": merchantId, "token": token, "merchantPrivate": merchantPrivate, "merchantPublic": merchantPublic,
    "ephemeralPrivate": ephemeralPrivate, "ephemeralPublic": ephemeralPublic, "sharedSecret": secret,
    "wrapKeyAndIv": derived, "wrappedKey": wrapped,
    "registrationMessage": f"SHOULI1 REG {merchantId} {token} {b64(merchantPublic)}",
    "keyMessage": f"SHOULI1 KEY {token} {b64(wrapped)}",
    "phonePrivate": u(0x5555, 32), "phonePublic": phonePublic, "wrappedKeys": wrappedKeys,
    "signingKeyMessage": f"SHOULI1 KEY {token} {b64(wrappedKeys)}",
    "applicationId": applicationId, "selectCommand": h("00a4040010") + applicationId + b"\0",
    "memberKey": memberKey, "memberKeyId": memberKeyId, "siteKey": siteKey, "cardKeyId": cardKeyId,
    "cardKey": cardKey, "recordKey": recordKey, "terminal": terminal, "transactionId": transactionId,
    "terminalNonce": terminalNonce, "phoneNonce": phoneNonce,
    "record1": record1, "record2": record2, "earn": earn, "debit": debit, "steps": steps,
    "resultText": text.decode(), "issueIv": issueIv, "issueHead": head, "issuedCard": issued,
    "couponMessage": f"{head} {b64(issued)}",
    "hostCouponMessage": f"SHOULI1 CPN {merchantId} SLC0000000000043 5000 CNY 0 H",
    "credentialSignerPrivate": u(0x4444, 32), "credentialSignerPublic": compress(credentialSignerPoint),
    "credential": credential, "spend": spend,
    "signerPrivate": signerPrivate, "signerPublic": signerPublic,
    "packageFull": packageFull, "packageErase": packageErase, "packageForfeit": packageForfeit,
}
print(json.dumps(vectors, indent=1, ensure_ascii=False, default=lambda b: b.hex()))
