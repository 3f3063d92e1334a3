-- Sends the requests of a file in turn, which are separated by NUL. Prints one line of JSON.
local requests, sent = {}, 0

function init(args)
  local file = assert(io.open(args[1], 'rb'))
  for request in file:read('*a'):gmatch('[^%z]+') do requests[#requests + 1] = request end
  file:close()
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"count":%d,"perSecond":%f,"mean":%f,"p50":%f,"p99":%f,"refused":%d}\n',
    summary.requests, summary.requests / summary.duration * 1e6, latency.mean / 1000,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
