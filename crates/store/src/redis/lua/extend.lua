-- Moves the time at which the head expires, never to an earlier one. Answers 1, or 0 when the head is another.
-- KEYS: the heads, the key and the times. ARGV: name, revision, when it is to expire with its checksum.
local head, _, low, floor, marks, ends, stamp, run = read_head(KEYS[1], ARGV[1])
if not head or sub(head, 1, 8) ~= ARGV[2] then return 0 end
local at = from('>I8', ARGV[3])
if ends ~= 0 and at > ends then
  local moved = head_of(sub(head, 1, 16) .. sub(ARGV[3], 1, 8), low, floor, bit.bor(marks, MOVED), stamp, run)
  call('HSET', KEYS[2], 'e' .. ARGV[2], ARGV[3])
  call('HSET', KEYS[1], ARGV[1], moved)
  call('ZADD', KEYS[3], string.format('%.0f', at), ARGV[1])
end
return 1
