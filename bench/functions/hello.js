export const handle = () => "hello";
