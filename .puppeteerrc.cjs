// The browser is the system's Chrome or the one inside @sparticuz/chromium; nothing is downloaded.
module.exports = { skipDownload: true };
