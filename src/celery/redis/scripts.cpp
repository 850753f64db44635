#include "celery/redis/scripts.hpp"

#include <array>
#include <cstddef>

namespace plait::celery::redis::scripts {
namespace {

// What several of them begin with. Messages are never encoded anew: cjson would turn [] into {} and
// round large numbers.
constexpr char lease_lua[] = R"lua(
local unacked, index, leases, deliveries = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix = ARGV[1]
local time = redis.call('TIME')
-- Whole numbers, for which a small sorted set compares no texts: seconds, as kombu has them, and ms.
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)
local function digits(n) return string.format('%.0f', n) end
local function number() return redis.call('INCR', prefix .. 'plait:count') end

local function bury(queue, item, reason)
  local entry = string.format('%.0f %s\n%s', now_ms, reason:gsub('\n', ' '), item)
  redis.call('HSET', prefix .. 'plait:dead:' .. queue, number(), entry)
end

local function list_of(queue, item)
  local ok, m = pcall(cjson.decode, item)
  local p = ok and type(m) == 'table' and type(m.properties) == 'table' and m.properties.priority
  p = tonumber(p) or 0
  local step = p >= 9 and 9 or p >= 6 and 6 or p >= 3 and 3 or 0
  return prefix .. queue .. (step > 0 and '\6\22' .. step or '')
end

-- What is registered of a tag: its message and queue.
local function registered(tag)
  local payload = redis.call('HGET', unacked, tag)
  if not payload then return nil end
  local item, exchange, key = payload:match('^%[(.*),%s*"([^"\\]*)",%s*"([^"\\]*)"%]$')
  if not item then return payload, nil end
  if exchange ~= '' then
    for _, bound in ipairs(redis.call('SMEMBERS', prefix .. '_kombu.binding.' .. exchange)) do
      local k, _, q = bound:match('^(.-)\6\22(.-)\6\22(.*)$')
      if k == key then return item, q end
    end
  end
  return item, key
end

local function forget(tag)
  redis.call('HDEL', unacked, tag)
  redis.call('ZREM', index, tag)
  redis.call('ZREM', leases, tag)
end

local function marked(item)
  if item:find('"redelivered": true', 1, true) then return item end
  for _, name in ipairs({'headers', 'delivery_info'}) do
    item = item:gsub('"' .. name .. '":%s*{%s*(.)', function(first)
      return '"' .. name .. '": {"redelivered": true' .. (first == '}' and '}' or ', ' .. first)
    end, 1)
  end
  return item
end

-- Only hand-outs that did not come to an end are counted, so most tags have no count.
local function count_one(tag)
  redis.call('HINCRBY', deliveries, tag, 1)
  redis.call('EXPIRE', deliveries, 604800)
end

local function give_back(tag, counts, mark)
  local item, queue = registered(tag)
  forget(tag)
  if counts then count_one(tag) end
  if not item then return 0 end
  if not queue then
    bury('unknown', item, 'its registration in unacked cannot be read')
    return 0
  end
  redis.call('RPUSH', list_of(queue, item), mark and marked(item) or item)
  return 1
end

-- The tag of a lease if it is still held; and how many hand-outs before it were counted.
local function held(lease)
  local count, tag = lease:match('^(%d+):(.*)$')
  if not count then return nil end
  local before = tonumber(redis.call('HGET', deliveries, tag) or 0)
  if tonumber(count) == before + 1 and redis.call('ZSCORE', leases, tag) then return tag, before end
  return nil
end
)lua";

constexpr char store_lua[] = R"lua(
local function set(key, text, ttl, ...)
  if tonumber(ttl) > 0 then return redis.call('SET', key, text, 'PX', ttl, ...) end
  return redis.call('SET', key, text, ...)
end
local function store(key, text, ttl)
  if not set(key, text, ttl, 'NX') then
    local ok, m = pcall(cjson.decode, redis.call('GET', key))
    if ok and type(m) == 'table' and m.status == 'SUCCESS' then return 0 end
    set(key, text, ttl)
  end
  redis.call('PUBLISH', key, text)
  return 1
end
)lua";

// One text, made by the compiler.
template <std::size_t... N>
constexpr auto joined(const char (&... parts)[N]) {
  std::array<char, ((N - 1) + ...) + 1> whole{};
  std::size_t at = 0;
  const auto add = [&](const char* part, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) whole[at++] = part[i];
  };
  (add(parts, N - 1), ...);
  return whole;
}

}  // namespace

// Of each message: itself, its queue, its step, its lease, how often it was handed out, the task's id
// as far as it is seen without reading all of it, and what is stored of that task. One number more at
// the end if messages are left.
constexpr auto reserve_text = joined(lease_lua, R"lua(
local till, most, queues = digits(now_ms + tonumber(ARGV[2])), tonumber(ARGV[3]), tonumber(ARGV[4])
local out, n = {}, 0

-- The tag that a message names, and whether it is a message at all. kombu and plait end with it, so a
-- look at the end does; whether the rest is JSON sees the worker.
local function tag_of(item)
  local last = item:byte() == 123 and item:sub(-64):match('"delivery_tag":%s?"([%w%-]+)"}}$')
  if last then return last, true end
  local ok, m = pcall(cjson.decode, item)
  if not ok or type(m) ~= 'table' then return nil, false end
  local tag = type(m.properties) == 'table' and m.properties.delivery_tag
  return type(tag) == 'string' and tag ~= '' and tag or nil, true
end

local function take(list, queue, step, ending)
  local item = redis.pcall('RPOP', list)
  if type(item) ~= 'string' then return false end
  local tag, is_message = tag_of(item)
  if not is_message then
    bury(queue, item, 'not a JSON object')
    return true
  end
  local payload = '[' .. item .. ending
  tag = tag or 'plait-' .. redis.sha1hex(item)  -- the same each time, to count its hand-outs
  if redis.call('HSETNX', unacked, tag, payload) == 0 then
    tag = 'plait-' .. number() .. '-' .. time[1] .. time[2]
    redis.call('HSET', unacked, tag, payload)
  end
  redis.call('ZADD', index, time[1], tag)
  -- Leased, but not in `unacked`: somebody else has given it back.
  if redis.call('ZADD', leases, till, tag) == 0 then count_one(tag) end
  local count = (redis.call('HGET', deliveries, tag) or 0) + 1
  local id = item:match('"id":%s?"([%w%-]+)"') or ''
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5], out[n + 6], out[n + 7] =
    item, queue, step, count .. ':' .. tag, count, id,
    id ~= '' and redis.pcall('GET', prefix .. 'celery-task-meta-' .. id)
  n = n + 7
  return true
end

most = most * 7
local endings = {}
for q = 1, queues do endings[q] = ',"",' .. cjson.encode(ARGV[4 + q]) .. ']' end
for _, step in ipairs({0, 3, 6, 9}) do
  local more = true
  while more and n < most do
    more = false
    for q = 1, queues do
      local queue = ARGV[4 + q]
      local list = prefix .. queue .. (step > 0 and '\6\22' .. step or '')
      if n < most and take(list, queue, step, endings[q]) then more = true end
    end
  end
end
if n < most then return out end
for q = 1, queues do
  local list = prefix .. ARGV[4 + q]
  if redis.call('EXISTS', list, list .. '\6\0223', list .. '\6\0226', list .. '\6\0229') > 0 then
    out[n + 1] = 1
    break
  end
end
return out
)lua");
const script reserve{"reserve", reserve_text.data()};

constexpr auto renew_text = joined(lease_lua, R"lua(
local till, lost = digits(now_ms + tonumber(ARGV[2])), {}
for i = 3, #ARGV do
  local tag = held(ARGV[i])
  if tag and redis.call('HEXISTS', unacked, tag) == 1 then
    redis.call('ZADD', index, time[1], tag)
    redis.call('ZADD', leases, till, tag)
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
)lua");
const script renew{"renew", renew_text.data()};

constexpr auto restore_text = joined(lease_lua, R"lua(
local counts, given = ARGV[2] == '1', 0
for i = #ARGV, 3, -1 do
  local tag = held(ARGV[i])
  if tag then given = given + give_back(tag, counts, counts) end
end
return given
)lua");
const script restore{"restore", restore_text.data()};

constexpr auto sweep_text = joined(lease_lua, R"lua(
local given, most = 0, ARGV[3]
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', digits(now_ms), 'LIMIT', 0, most)) do
  given = given + give_back(tag, true, true)
end
local others = digits(now - tonumber(ARGV[2]))
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', others, 'LIMIT', 0, most)) do
  if not redis.call('ZSCORE', leases, tag) then given = given + give_back(tag, false, true) end
end
return given
)lua");
const script sweep{"sweep", sweep_text.data()};

// Most messages were handed out once and are done with: that comes before the functions of the rest.
constexpr auto finish_text = joined(store_lua, R"lua(
do
  local prefix, lease, token = ARGV[1], ARGV[2], ARGV[3]
  if token ~= '' and not redis.call('SET', prefix .. 'plait:did:' .. token, 1, 'PX', 600000, 'NX') then
    return 1
  end
  if ARGV[5] ~= '' then store(ARGV[5], ARGV[6], ARGV[7]) end
  for i = 8, #ARGV, 2 do redis.call('LPUSH', ARGV[i], ARGV[i + 1]) end
  local tag = lease:match('^1:(.*)$')
  if tag and ARGV[4] == '' and not redis.call('HGET', KEYS[4], tag) then
    if redis.call('ZREM', KEYS[3], tag) == 0 then return 0 end
    redis.call('HDEL', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
    return 1
  end
end
)lua",
                                    lease_lua, R"lua(
local lease, reason = ARGV[2], ARGV[4]
local tag, before = held(lease)
if not tag then return 0 end
if reason ~= '' then
  local item, queue = registered(tag)
  if item then bury(queue or 'unknown', item, reason) end
end
forget(tag)
if before > 0 then redis.call('HDEL', deliveries, tag) end
return 1
)lua");
const script finish{"finish", finish_text.data()};

constexpr auto retry_dead_text = joined(lease_lua, R"lua(
local queue, id = ARGV[2], ARGV[3]
local dead = prefix .. 'plait:dead:' .. queue
local entry = redis.call('HGET', dead, id)
if not entry then return 0 end
local item = entry:match('^[^\n]*\n(.*)$')
redis.call('LPUSH', list_of(queue, item), item)
redis.call('HDEL', dead, id)
return 1
)lua");
const script retry_dead{"retry_dead", retry_dead_text.data()};

constexpr auto list_dead_text = joined(lease_lua, R"lua(
local dead, most = prefix .. 'plait:dead:' .. ARGV[2], tonumber(ARGV[3])
local ids, out = redis.call('HKEYS', dead), {}
table.sort(ids, function(a, b) return (tonumber(a) or 0) < (tonumber(b) or 0) end)
for i = 1, math.min(most, #ids) do
  out[#out + 1] = ids[i]
  out[#out + 1] = redis.call('HGET', dead, ids[i])
end
return out
)lua");
const script list_dead{"list_dead", list_dead_text.data()};

constexpr auto leased_text = joined(lease_lua, R"lua(
local found, out = {}, {}
for _, payload in ipairs(redis.call('HVALS', unacked)) do
  local queue = payload:match('"([^"\\]*)"%]$')
  if queue then found[queue] = (found[queue] or 0) + 1 end
end
for i = 2, #ARGV do out[#out + 1] = found[ARGV[i]] or 0 end
return out
)lua");
const script leased{"leased", leased_text.data()};

constexpr auto store_text = joined(store_lua, R"lua(
return store(KEYS[1], ARGV[1], ARGV[2])
)lua");
const script store{"store", store_text.data()};

// Celery's trap: the member of .j contains the result, so a part that ran twice with two results would
// count twice. Here a task counts once. Who was last stays last: if that worker dies before it has
// sent the body, the part's second run gets the entries again.
constexpr auto chord_part_text = joined(R"lua(
local parts, correction, size, ids, last, done = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, ttl = ARGV[1], ARGV[4]
if redis.call('GET', last) == id then return redis.call('ZRANGE', done, 0, -1) end
if redis.call('SADD', ids, id) == 0 then return false end
redis.call('EXPIRE', ids, ttl)
redis.call('ZADD', parts, ARGV[2], ARGV[3])
redis.call('EXPIRE', parts, ttl)
redis.call('EXPIRE', correction, ttl)
redis.call('EXPIRE', size, ttl)
local wanted = tonumber(redis.call('GET', size) or nil)
if not wanted then return false end
wanted = wanted + tonumber(redis.call('GET', correction) or 0)
if redis.call('ZCARD', parts) < wanted then return false end
redis.call('SET', last, id, 'EX', ttl)
redis.call('RENAME', parts, done)
redis.call('DEL', correction, size)
return redis.call('ZRANGE', done, 0, -1)
)lua");
const script chord_part{"chord_part", chord_part_text.data()};

}  // namespace plait::celery::redis::scripts
