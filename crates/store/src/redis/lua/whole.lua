-- What a commit of whole heads begins with, see `commit.lua`: when all of them are as they are expected, this is all. It
-- stands before everything else because a script makes all its functions anew each time that it is called.
--
-- The heads are compared as one text. Nothing is written before that but the notes of runs that end, which are true anyway.

-- Tells of `many` changes behind those that are counted, and of which commits they are. Gives the number of the last one, and
-- how it is kept; nothing when the count is damaged, or the stream has other ones. It is kept in threes: a flipped bit in a
-- digit makes a number that three does not divide. No stream lives to tell of more than can be counted without rounding.
local function tell(counted, many, won)
  local threes = tonumber(counted or '0')
  if not threes or threes % 3 ~= 0 or threes > 9e14 then return nil end
  local number = threes / 3 + many
  local id, oldest, told = string.format('1-%.0f', number), ARGV[3] ~= '' and number - tonumber(ARGV[3]) or 0, nil
  if oldest > 0 then
    oldest = string.format('1-%.0f', oldest)
    told = redis.pcall('XADD', KEYS[2], 'MINID', '~', oldest, id, 'e', ARGV[5], 'w', won)
  else
    told = redis.pcall('XADD', KEYS[2], id, 'e', ARGV[5], 'w', won)
  end
  if type(told) ~= 'table' then return number, string.format('%065.0f', number * 3) end
end

do
  local call, attempt, sub = redis.call, redis.pcall, string.sub
  local heads, records, many = KEYS[1], ARGV[1] .. 'records', tonumber(ARGV[6])
  local place = sub(ARGV[4], 49, 60) .. sub(ARGV[4], 17, 24)
  if many > 0 and attempt('HEXISTS', records, place) == 1 then
    local news = 8 + many
    local ends = news + 2 * many
    local known = attempt('HMGET', heads, '', unpack(ARGV, 8, news - 1))
    -- What is not there cannot be joined.
    local is_there, found = pcall(table.concat, known, '', 2, many + 1)
    local sound = is_there and found == ARGV[7]
    local at = ends + 1
    for _ = 1, sound and tonumber(ARGV[ends]) or 0 do
      local noted = attempt('HSET', ARGV[at], ARGV[at + 1], ARGV[at + 2])
      sound = sound and type(noted) == 'number'
      at = at + 4 + tonumber(ARGV[at + 3])
    end
    if sound then
      local number, counted = tell(known[1], many, string.rep('y', many))
      if number then
        call('HSET', heads, '', counted, unpack(ARGV, news, ends - 1))
        local gone = tonumber(ARGV[at])
        for first = at + 1, at + gone, 1000 do
          call('HDEL', records, unpack(ARGV, first, math.min(first + 999, at + gone)))
        end
        at = ends + 1
        for _ = 1, tonumber(ARGV[ends]) do
          local runs = tonumber(ARGV[at + 3])
          if runs > 0 then call('HDEL', ARGV[at], unpack(ARGV, at + 4, at + 3 + runs)) end
          at = at + 4 + runs
        end
        return { number, 1 }
      end
    end
  end
end
