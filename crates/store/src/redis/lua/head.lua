-- The head of a key: `{the beginning of the head, record}` or `{}`.
-- KEYS: the heads and the records. ARGV: name.
local head, _, _, _, _, _, stamp = read_head(KEYS[1], ARGV[1])
if not head then return {} end
return { head, call('HGET', KEYS[2], stamp .. sub(head, 1, 8)) }
