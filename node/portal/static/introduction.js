// The fields of an introduction, and the text that becomes of them: JSON with name, url and models.

import { el, field } from "./dom.js";
import { t } from "./i18n.js";

/** @returns {{fields: Element, text: () => string}} */
export function introductionFields() {
  const [name, url, models] = ["name", "url", "models"].map((key) => el("input", { name: key, autocomplete: "off" }));
  url.type = "url";
  const legend = el("legend", {}, t("register.introduction"));
  const fields = el("fieldset", {}, legend, field(t("field.name"), name), field(t("field.url"), url), field(t("field.models"), models));
  const text = () => {
    const told = { name: name.value.trim(), url: url.value.trim(), models: models.value.split(",").map((item) => item.trim()).filter(Boolean) };
    return JSON.stringify(Object.fromEntries(Object.entries(told).filter(([, value]) => value.length)));
  };
  return { fields, text };
}
