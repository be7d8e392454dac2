// Verifies the DKIM signatures of a message on stdin with mailauth; argv[2] maps DNS names to TXT records. Prints JSON.
import { dkimVerify } from "mailauth/lib/dkim/verify.js";

const records = JSON.parse(process.argv[2]);
const resolver = async (name, type) => {
  if (type === "TXT" && records[name]) return [[records[name]]];
  throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
};
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { results } = await dkimVerify(Buffer.concat(chunks), { resolver, minBitLength: 1024 });
const told = results.map(({ status, signingDomain, selector, algo, format, signingHeaders, bodyHash, bodyHashExpecting }) => ({
  result: status.result, aligned: status.aligned, comment: status.comment ?? "", domain: signingDomain, selector, algo,
  format, headers: signingHeaders?.keys ?? "", body: bodyHash === bodyHashExpecting,
}));
process.stdout.write(JSON.stringify(told));
