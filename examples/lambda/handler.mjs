// Tells the length of its secret, no value.
export const handler = async (event) => ({ name: event.name, DATABASE_URL: process.env.DATABASE_URL.length });
