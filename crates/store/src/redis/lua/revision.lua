-- A revision of a key: `{record, its end where that was moved}` or `{}`.
-- KEYS: the heads, the key and the records. ARGV: name, revision.
local head, rev, low, _, marks, _, stamp, run = read_head(KEYS[1], ARGV[1])
if not head then return {} end
local wanted = from('>I8', ARGV[2])
-- One that is not kept any more lies there until it is removed, unless it is pinned.
if wanted > rev or wanted < low and not place_of(sound_pins(KEYS[2], marks), ARGV[2]) then return {} end
local place = place_of_record(KEYS[2], ARGV[2], rev - run + 1, stamp)
local found = place and call('HGET', KEYS[3], place)
if not found then return {} end
return { found, call('HGET', KEYS[2], 'e' .. ARGV[2]) or '' }
