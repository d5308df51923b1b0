-- The head of a key: `{expires, record}` or `{}`.
-- KEYS: the key. ARGV: prefix of the namespace.
local head, _, _, expires = read_head(KEYS[1])
if not head then return {} end
return { expires, redis.call('HGET', KEYS[1], head) }
