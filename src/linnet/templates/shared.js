"use strict";

const byId = (id) => document.getElementById(id);

// Only ever as text: what was typed, and what labels are called, is never markup.
function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options))
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== null && value !== false) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const isolated = (text) => element("bdi", {}, text);

// A header takes no other characters.
const isKey = (text) => /^[\x21-\x7e]+$/.test(text);
