export async function handle({ url }) {
  const response = await fetch(url, {
    method: "POST", headers: { "content-type": "application/json" }, body: '{"a":1,"b":2}',
  });
  return await response.json();
}
