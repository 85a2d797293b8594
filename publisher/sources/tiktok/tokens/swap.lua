-- Replaces the stored pair of tokens if it is the one that the refresh started from: a refresher
-- that was paused for longer than its lock lasts must not overwrite a newer pair.
--
-- KEYS: 1 the encrypted pair (string)
-- ARGV: 1 the expected value ('': none), 2 the new value
-- Returns 1 if the new value is stored, 0 if another value is.
--
-- A script that the client sends again after a lost reply finds its own value and returns 1.

local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] and found ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
