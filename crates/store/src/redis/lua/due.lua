-- Heads whose time is over, the earliest first, as `describe` answers.
-- KEYS: the times. ARGV: prefix of the namespace, now, how many, bytes that hold any meta.
local names = call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
return describe(ARGV[1], names, ARGV[4])
