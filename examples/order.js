// Total an order: faas invoke order --input '{"placed": "2026-02-27", "lines": [{"price": 2.5, "count": 4}]}'
const DELIVERY_DAYS = 3;

export async function handle({ placed, lines = [] }) {
  const cents = lines.reduce((sum, { price, count }) => sum + Math.round(price * 100) * count, 0);
  const due = new Date(placed);
  if (Number.isNaN(due.getTime())) throw new TypeError(`placed is not a date: ${JSON.stringify(placed)}`);
  due.setUTCDate(due.getUTCDate() + DELIVERY_DAYS);
  const bytes = new TextEncoder().encode(JSON.stringify({ placed, lines }));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { total: cents / 100, due: due.toISOString().slice(0, 10), digest: digest.toHex().slice(0, 12) };
}
