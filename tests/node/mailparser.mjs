// Reads mails with npm's mailparser: a JSON array of base64 texts comes in, an array of what was read goes out.
import { simpleParser } from "mailparser";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const mails = JSON.parse(Buffer.concat(chunks).toString());
const read = [];
for (const mail of mails) {
  const parsed = await simpleParser(Buffer.from(mail, "base64"), { skipImageLinks: true, skipTextLinks: true });
  read.push({
    headers: parsed.headerLines.map((line) => line.key),
    subject: parsed.subject,
    from: parsed.from.value,
    to: parsed.to.value,
    text: parsed.text,
    html: parsed.html,
    attachments: parsed.attachments.length,
  });
}
process.stdout.write(JSON.stringify(read));
