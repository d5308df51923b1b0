-- Removes all but the newest revisions by number, and the pinned ones. Answers how many were removed.
-- KEYS: the key. ARGV: prefix of the namespace, how many to keep.
local space = ARGV[1]
local head, low, floor, expires, marks = read_head(KEYS[1])
if not head then return 0 end
local limit = tonumber(head) - tonumber(ARGV[2])
if limit < tonumber(low) then return 0 end
-- What lies below is not kept already, and does not count.
if tonumber(low) > tonumber(floor) then remove(space, KEYS[1], tonumber(floor), tonumber(low) - 1, marks) end
local removed = remove(space, KEYS[1], tonumber(low), limit, marks)
low = write_number(limit + 1)
redis.call('HSET', KEYS[1], 'h', head .. ' ' .. low .. ' ' .. low .. ' ' .. expires .. ' ' .. marks)
return removed
