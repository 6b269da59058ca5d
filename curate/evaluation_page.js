"use strict";
(function () {
  document.documentElement.classList.add("js");
  document.querySelectorAll(".mover").forEach(function (mover) {
    var data = JSON.parse(mover.dataset.steps);
    var svg = mover.querySelector("svg"), cut = mover.querySelector(".cut"), review = mover.querySelector(".review");
    var low = Number(svg.dataset.low), high = Number(svg.dataset.high);
    var left = Number(svg.dataset.left), width = Number(svg.dataset.width);
    function tell(name, value) { mover.querySelector("[data-n=" + name + "]").textContent = value; }
    function move(kind, value, hidden) {
      var mark = svg.querySelector("[data-mark=" + kind + "]");
      if (!mark) { return; }
      var share = Math.min(1, Math.max(0, (value - low) / (high - low))), x = left + width * share;
      var path = mark.querySelector("path"), text = mark.querySelector("text"), right = share < 0.6;
      path.setAttribute("d", path.getAttribute("d").replace(/^M[-\d.]+/, "M" + x.toFixed(1)));
      text.setAttribute("x", (x + (right ? 6 : -6)).toFixed(1));
      text.setAttribute("text-anchor", right ? "start" : "end");
      mark.setAttribute("visibility", hidden ? "hidden" : "visible");
    }
    function update() {
      var j = Number(cut.value), i = Math.min(Number(review.value), j);
      tell("false", data.normal[j]);
      tell("missed", data.n_anomalous - data.anomalous[i]);
      tell("review", data.normal[i] - data.normal[j] + data.anomalous[i] - data.anomalous[j]);
      tell("at", data.label[j]);
      tell("from", i < j ? data.label[i] : "none");
      move("cut", data.threshold[j], false);
      move("review", data.threshold[i], i === j);
      cut.setAttribute("aria-valuetext", "alarm from " + data.label[j]);
      review.setAttribute("aria-valuetext", "look from " + data.label[i]);
    }
    function restore() { cut.value = data.in_force; review.value = data.review_from; update(); }
    cut.addEventListener("input", function () {
      if (cut.dataset.joined !== "no") { review.value = cut.value; }
      if (Number(review.value) > Number(cut.value)) { review.value = cut.value; }
      update();
    });
    review.addEventListener("input", function () {
      cut.dataset.joined = "no";
      if (Number(review.value) > Number(cut.value)) { review.value = cut.value; }
      update();
    });
    mover.querySelector("button").addEventListener("click", function () {
      cut.dataset.joined = data.in_force === data.review_from ? "yes" : "no";
      restore();
    });
    cut.dataset.joined = data.in_force === data.review_from ? "yes" : "no";
    restore();
  });
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = Array.from(document.querySelectorAll("details")).map(function (one) { return [one, one.open]; });
    opened.forEach(function (pair) { pair[0].open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (pair) { pair[0].open = pair[1]; });
  });
})();
