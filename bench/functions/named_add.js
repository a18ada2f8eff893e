// The point `functions` makes thousands of functions of the image of this one, each with another name.
const name = "f000000";
export const handle = ({ a, b }) => ({ sum: a + b, name });
