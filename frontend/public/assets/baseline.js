/*
 * Tells whoever comes with a browser below the baseline (README.md), where the chat itself would not even start. So it is
 * written in what every browser reads (ES5), and looks for what the last one below the baseline has not.
 */
(function () {
  'use strict';
  var isOld =
    !('noModule' in document.createElement('script')) || !('findLast' in Array.prototype) || !('hasOwn' in Object);
  if (!isOld) return;
  document.documentElement.setAttribute('data-too-old', '');
  document.addEventListener('DOMContentLoaded', function () {
    var line = document.createElement('p');
    line.setAttribute('role', 'alert');
    line.className = 'too-old';
    line.appendChild(
      document.createTextNode(
        'This browser is too old for this page. It needs Chrome or Edge 109, Firefox 115, Safari 15.4, or a newer one.'
      )
    );
    document.body.insertBefore(line, document.body.firstChild);
  });
})();
