-- Calls, a table of floats, and many small strings.
local function fib(n)
  return n < 2 and n or fib(n - 1) + fib(n - 2)
end

local halves, sum, words = {}, 0, {}
for i = 1, 200000 do halves[i] = i * 1.5 end
for _ = 1, 10 do
  for i = 1, #halves do sum = sum + halves[i] % 7 end
end
for i = 1, 100000 do words[#words + 1] = tostring(i) end
print(fib(27), sum, #table.concat(words))
