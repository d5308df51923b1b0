-- The heads of keys in the order of their names, as `describe` answers.
-- KEYS: the names. ARGV: prefix of the namespace, where the range begins and ends, how many, bytes that hold any meta.
local names = call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
return describe(ARGV[1], names, ARGV[5])
