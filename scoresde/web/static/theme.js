// How somebody likes the page; read before it is drawn, so that it does not flash.
"use strict";
for (const [name, usual] of [["theme", "system"], ["expert", "off"], ["pixels", "off"]]) {
  document.documentElement.dataset[name] = localStorage.getItem(name) || usual;
}
