-- A revision of a key: `{record, its end where that was moved}` or `{}`.
-- KEYS: the heads and the key. ARGV: name, revision.
local head, _, low, _, marks = read_head(KEYS[1], ARGV[1])
if not head then return {} end
-- One that is not kept any more lies there until it is removed, unless it is pinned.
if from('>I8', ARGV[2]) < low and not place_of(sound_pins(KEYS[2], marks), ARGV[2]) then return {} end
local found = call('HMGET', KEYS[2], ARGV[2], 'e' .. ARGV[2])
if not found[1] then return {} end
return { found[1], found[2] or '' }
