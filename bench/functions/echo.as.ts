export function handle(input: string): string { return input; }
