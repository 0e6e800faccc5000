-- The counters of base.py, kept in Valkey. The same rules as memory.py, line by line where it can be; tests/state/test_twins.py compares them.
--
-- KEYS[1]  a prefix with a {hash tag}: all keys live in one slot
-- ARGV[1]  msgpack: [now in ms or 0 for the server's clock, lease in ms, replica, number of the batch or 0, operations]
-- answer   msgpack: what came of each operation; false: a batch of this number has been done before
--
-- PREFIX:w:KEY     hash   a window: t total, o oldest slot that may count, n newest slot, and slots by their numbers
-- PREFIX:h:KEY     hash   a hold: s spent, h held, d in doubt, a when seeded
-- PREFIX:leases    zset   id → when the lease runs out;  PREFIX:held  hash  id → what it holds, packed
-- PREFIX:lapsed    hash   id → what of it is in doubt;   PREFIX:alive  zset  replica → last sign of life
-- PREFIX:done:ID   the number of a replica's last batch
local SLOTS, NEVER, SHORTLY = 600, -1, 1000
local DAY = 24 * 3600 * 1000
local KEPT = 7 * DAY
local ALIVE = 10000
local P = KEYS[1]
local call, floor, min, max = redis.call, math.floor, math.min, math.max
local now, lease, replica, batch, operations = unpack(cmsgpack.unpack(ARGV[1]))
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end
local function whole(n) return string.format('%.0f', n) end
local function number(s) return tonumber(s or '0') or 0 end

-- A bucket on the wire: [key, cap, width, seeded, keep, resets]
local KEY, CAP, WIDTH, SEEDED, KEEP, RESETS = 1, 2, 3, 4, 5, 6

local function add(w, slot, amount, width)
  call('HINCRBY', w, whole(slot), whole(amount))
  local newest = tonumber(call('HGET', w, 'n') or false)
  if not newest or slot > newest then call('HSET', w, 'n', whole(slot)) end
  if not newest then call('HSET', w, 'o', whole(slot)) end
  call('PEXPIRE', w, width * SLOTS * 2)
  return number(call('HINCRBY', w, 't', whole(amount)))
end

-- Drops what no longer counts → the window's key, its total, and the slot to count in.
local function turned(bucket)
  local w, width = P .. ':w:' .. bucket[KEY], bucket[WIDTH]
  local slot = floor(now / width)
  local has = call('HMGET', w, 't', 'o', 'n')
  local total, oldest, newest = number(has[1]), number(has[2]), tonumber(has[3] or false)
  if not newest then return w, 0, slot end
  if slot < newest then
    if newest - slot <= SLOTS then
      slot = newest
    else
      call('DEL', w)
      if total > 0 then add(w, slot, total, width) end
      return w, total, slot
    end
  end
  local dead = slot - SLOTS - 1
  if newest <= dead then
    call('DEL', w)
    return w, 0, slot
  end
  if oldest <= dead then
    local fields = {}
    for one = oldest, dead do fields[#fields + 1] = whole(one) end
    for _, amount in ipairs(call('HMGET', w, unpack(fields))) do total = total - number(amount) end
    call('HDEL', w, unpack(fields))
    call('HSET', w, 't', whole(total), 'o', whole(dead + 1))
  end
  return w, total, slot
end

local function wait_of_window(w, over, width)
  local has = call('HMGET', w, 'o', 'n')
  local oldest, newest = number(has[1]), number(has[2])
  local fields = {}
  for one = oldest, newest do fields[#fields + 1] = whole(one) end
  for at, amount in ipairs(call('HMGET', w, unpack(fields))) do
    over = over - number(amount)
    if over <= 0 then return (oldest + at - 1 + SLOTS + 1) * width - now end
  end
  return NEVER
end

local function empty_at(w, bucket)
  local newest = tonumber(call('HGET', w, 'n') or false)
  return newest and (newest + SLOTS + 1) * bucket[WIDTH] or 0
end

-- → its key, spent, held, in doubt, when seeded (nil: not known)
local function hold(bucket)
  local h = P .. ':h:' .. bucket[KEY]
  local has = call('HMGET', h, 's', 'h', 'd', 'a')
  return h, number(has[1]), number(has[2]), number(has[3]), tonumber(has[4] or false)
end

local function shift(bucket, field, amount)
  local h = P .. ':h:' .. bucket[KEY]
  if amount ~= 0 then call('HINCRBY', h, field, whole(amount)) end
  if bucket[RESETS] > 0 then
    call('PEXPIREAT', h, whole(bucket[RESETS] + KEPT))
  elseif not bucket[SEEDED] then
    call('PEXPIRE', h, DAY)
  end
end

local function undoubt(bucket, amount)
  local h = P .. ':h:' .. bucket[KEY]
  local doubt = number(call('HGET', h, 'd'))
  if doubt > 0 then call('HSET', h, 'd', whole(max(0, doubt - amount))) end
end

local function lend(id, buckets, amounts, slots)
  call('HSET', P .. ':held', id, cmsgpack.pack({buckets, amounts, slots}))
  call('ZADD', P .. ':leases', whole(now + lease), id)
end

-- No longer held: what the lease was for, or nil if it has run out.
local function take_back(id)
  local packed = call('HGET', P .. ':held', id)
  if not packed then return nil end
  call('HDEL', P .. ':held', id)
  call('ZREM', P .. ':leases', id)
  local had = cmsgpack.unpack(packed)
  for at, bucket in ipairs(had[1]) do
    if bucket[WIDTH] == 0 then shift(bucket, 'h', -had[2][at]) end
  end
  return had
end

local function sweep()
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. ':leases', '-inf', whole(now))) do
    local had = take_back(id)
    if had then
      local doubtful = {}
      for at, bucket in ipairs(had[1]) do
        if bucket[KEEP] and had[2][at] > 0 then
          shift(bucket, 'd', had[2][at])
          doubtful[#doubtful + 1] = {bucket, had[2][at]}
        end
      end
      if #doubtful > 0 then call('HSET', P .. ':lapsed', id, cmsgpack.pack(doubtful)) end
    else
      call('ZREM', P .. ':leases', id)
    end
  end
end

local function undoubt_lapsed(id)
  local packed = call('HGET', P .. ':lapsed', id)
  if not packed then return end
  call('HDEL', P .. ':lapsed', id)
  for _, one in ipairs(cmsgpack.unpack(packed)) do undoubt(one[1], one[2]) end
end

local function reserve(id, buckets, amounts)
  local slots, keys, used, over, longest = {}, {}, {}, {}, nil
  local function refuse(at, wait, spent, empty_at)
    if not longest or (longest[3] ~= NEVER and (wait == NEVER or wait > longest[3])) then
      longest = {1, at - 1, wait, spent, used[at], empty_at}
    end
  end
  for at, bucket in ipairs(buckets) do
    local amount, cap = amounts[at], bucket[CAP]
    if bucket[WIDTH] > 0 then
      keys[at], used[at], slots[at] = turned(bucket)
      if used[at] + amount > cap then over[at] = used[at] + amount - cap end
    else
      local h, spent, held, doubt, seeded = hold(bucket)
      if bucket[SEEDED] and not seeded then return {2, at - 1} end
      keys[at], slots[at], used[at] = h, 0, spent
      if spent + held + doubt + amount > cap then over[at] = spent + doubt + amount - cap end
    end
  end
  for at, bucket in ipairs(buckets) do
    local much, large = over[at], amounts[at] > bucket[CAP]
    if much and bucket[WIDTH] > 0 then
      refuse(at, large and NEVER or wait_of_window(keys[at], much, bucket[WIDTH]), false, empty_at(keys[at], bucket))
    elseif much and large then
      refuse(at, NEVER, bucket[SEEDED], 0)
    elseif much and bucket[SEEDED] and much > 0 then
      refuse(at, bucket[RESETS] > 0 and max(0, bucket[RESETS] - now) or NEVER, true, 0)
    elseif much then
      refuse(at, SHORTLY, false, 0)
    end
  end
  if longest then return longest end
  for at, bucket in ipairs(buckets) do
    if bucket[WIDTH] > 0 then
      if amounts[at] > 0 then used[at] = add(keys[at], slots[at], amounts[at], bucket[WIDTH]) end
    else
      shift(bucket, 'h', amounts[at])
    end
  end
  lend(id, buckets, amounts, slots)
  return {0, now, slots, used}
end

local function draw(id, chains)
  for _, chain in ipairs(chains) do
    for _, bucket in ipairs(chain[1]) do
      local _, _, _, _, seeded = hold(bucket)
      if bucket[SEEDED] and not seeded then return {2, bucket[KEY]} end
    end
  end
  local drawn, amounts, slots, used = {}, {}, {}, {}
  for _, chain in ipairs(chains) do
    local need = chain[2]
    for _, bucket in ipairs(chain[1]) do
      local _, spent, held, doubt = hold(bucket)
      local amount = max(0, min(need, bucket[CAP] - spent - held - doubt))
      shift(bucket, 'h', amount)
      need = need - amount
      local at = #drawn + 1
      drawn[at], amounts[at], slots[at], used[at] = bucket, amount, 0, spent
    end
  end
  lend(id, drawn, amounts, slots)
  return {0, now, amounts, used}
end

-- at: the caller's clock when it was settled; what the records said after that includes it
local function settle(id, at, buckets, amounts, slots, actual)
  local had = take_back(id)
  if not had then undoubt_lapsed(id) end
  for n, bucket in ipairs(buckets) do
    local more = actual[n] - amounts[n]
    if bucket[WIDTH] > 0 then
      if more ~= 0 then
        local w, _, slot = turned(bucket)
        if more > 0 then
          add(w, slot, more, bucket[WIDTH])
        elseif had then
          local field = whole(slots[n])
          local there = call('HGET', w, field)
          if there then
            local back = min(-more, number(there))
            call('HINCRBY', w, field, whole(-back))
            call('HINCRBY', w, 't', whole(-back))
          end
        end
      end
    elseif bucket[SEEDED] then
      local h, _, _, _, seeded = hold(bucket)
      if seeded and at >= seeded then call('HINCRBY', h, 's', whole(actual[n])) end
    end
  end
end

-- It is not known whether it was ever taken: if so, all of it is given back.
local function undo(id)
  local packed = call('HGET', P .. ':held', id)
  if not packed then return end
  local had = cmsgpack.unpack(packed)
  local nothing = {}
  for n in ipairs(had[1]) do nothing[n] = 0 end
  settle(id, 0, had[1], had[2], had[3], nothing)
end

local function renew(id, buckets, amounts, slots)
  if call('HEXISTS', P .. ':held', id) == 0 then
    undoubt_lapsed(id)
    for at, bucket in ipairs(buckets) do
      if bucket[WIDTH] == 0 then shift(bucket, 'h', amounts[at]) end
    end
  end
  lend(id, buckets, amounts, slots)
end

local function beat()
  call('ZADD', P .. ':alive', whole(now), replica)
  call('ZREMRANGEBYSCORE', P .. ':alive', '-inf', '(' .. whole(now - ALIVE))
  return call('ZCARD', P .. ':alive')
end

local function leave()
  call('ZREM', P .. ':alive', replica)
  call('DEL', P .. ':done:' .. replica)
end

local function seed(bucket, spent, at, force)
  local h, _, _, _, seeded = hold(bucket)
  if seeded and not force then return end
  call('HSET', h, 's', whole(spent), 'a', whole(at))
  if force then call('HDEL', h, 'd') end
  shift(bucket, 'h', 0)
end

local function peek(bucket)
  if bucket[WIDTH] == 0 then
    local _, spent, held, doubt, seeded = hold(bucket)
    return {spent, held, doubt, 0, seeded ~= nil or not bucket[SEEDED]}
  end
  local w, total = turned(bucket)
  return {total, 0, 0, empty_at(w, bucket), true}
end

local OPERATIONS = {
  reserve = reserve, draw = draw, settle = settle, undo = undo, renew = renew, beat = beat, leave = leave, seed = seed, peek = peek,
}
if batch > 0 then
  if number(call('GET', P .. ':done:' .. replica)) >= batch then return cmsgpack.pack(false) end
  call('SET', P .. ':done:' .. replica, whole(batch), 'PX', DAY)
end
local answers = {}
for at, operation in ipairs(operations) do
  local name = operation[1]
  if name == 'reserve' or name == 'draw' then sweep() end
  answers[at] = OPERATIONS[name](unpack(operation, 2)) or 0
end
return cmsgpack.pack(answers)
