// Compiles a JSON list of MJML documents from stdin as npm's MJML does by default. To stdout as JSON: the HTML of each,
// and the attributes that each component takes.
import mjml2html from "mjml";
import preset from "mjml-preset-core";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const pages = [];
for (const source of JSON.parse(input)) {
  const { html } = await mjml2html(source, { validationLevel: "soft", keepComments: false, beautify: false });
  pages.push(html);
}
const components = (preset.default ?? preset).components.map((component) => component.default ?? component);
const attributes = Object.fromEntries(
  components.map(({ componentName, allowedAttributes }) => [componentName, allowedAttributes ?? {}]),
);
process.stdout.write(JSON.stringify({ pages, attributes }));
