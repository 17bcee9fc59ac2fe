'use strict';
// A task that ends. Its argument is the URL of a database.
const url = new URL(process.argv[2]);
console.log(url.host, decodeURIComponent(url.password).length);
