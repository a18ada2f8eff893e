export const handle = ({ a, b }) => ({ sum: a + b });
