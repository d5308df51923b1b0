-- Removes all but the newest revisions by number, and the pinned ones. Answers how many were removed.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, how many to keep.
local space, name, key = ARGV[1], ARGV[2], KEYS[2]
local head, rev, low, floor, marks, _, stamp, run = read_head(KEYS[1], name)
if not head then return 0 end
sound_pins(key, marks)
local limit = rev - tonumber(ARGV[3])
if limit < low then return 0 end
local begins = rev - run + 1
-- What lies below is not kept already, and does not count.
local below = removable(key, floor, low - 1, marks, begins, stamp)
local above = removable(key, low, limit, marks, begins, stamp)
remove(space, key, marks, below)
local removed = remove(space, key, marks, above)
call('HSET', KEYS[1], name, head_of(head, limit + 1, limit + 1, marks, stamp, run))
return removed
